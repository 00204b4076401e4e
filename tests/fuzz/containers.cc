// SPDX-License-Identifier: ISC
// The containers against those of the C++ library: the heap of deadlines, the list, the queue of
// wake-ups, and growing text.

#include <cstring>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "eio/strbuf.h"
#include "fiber/base/heap.h"
#include "fiber/base/list.h"
#include "fiber/base/mpsc.h"
#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {
namespace {

constexpr size_t kNodes = 64;

void Heap(Input &in) {
    struct eioi_heap heap = {};
    CHECK(eioi_heap_reserve(&heap, kNodes) == nullptr);
    std::vector<eioi_heap_node> nodes(kNodes);
    std::map<std::pair<int64_t, uint64_t>, eioi_heap_node *> model;
    std::map<eioi_heap_node *, std::pair<int64_t, uint64_t>> where;
    uint64_t seq = 0;
    auto remove = [&](eioi_heap_node *node) {
        eioi_heap_remove(&heap, node);
        if (where.count(node) != 0) {
            model.erase(where[node]);
            where.erase(node);
        }
        CHECK(node->slot == 0);
    };
    auto pop = [&](int64_t limit, size_t most) {
        eioi_heap_node *out[16];
        const size_t n = eioi_heap_pop(&heap, limit, out, most);
        for (size_t i = 0; i < n; i++) {
            CHECK(model.begin()->second == out[i] && model.begin()->first.first <= limit);
            remove(out[i]); // from the model
        }
        CHECK(n == most || model.empty() || model.begin()->first.first > limit);
    };
    auto check = [&] {
        CHECK(heap.count == model.size());
        CHECK(eioi_heap_first_key(&heap) ==
              (model.empty() ? INT64_MAX : model.begin()->first.first));
    };
    while (!in.empty()) {
        uint8_t what = in.Byte();
        eioi_heap_node *node = &nodes[what % kNodes];
        if (what >= 192 && !model.empty()) {
            pop(static_cast<int8_t>(in.Byte()), 1 + what % 16);
        } else if (where.count(node) != 0 || what >= 128) {
            remove(node); // those that are in no heap, too
        } else {
            int64_t key = static_cast<int8_t>(in.Byte());
            eioi_heap_insert(&heap, node, key);
            where[node] = {key, seq++};
            model[where[node]] = node;
        }
        check();
    }
    while (!model.empty()) {
        pop(INT64_MAX, 1);
        check();
    }
    eioi_heap_fini(&heap);
}

void List(Input &in) {
    struct eioi_list lists[2], nodes[kNodes];
    std::list<struct eioi_list *> models[2];
    for (struct eioi_list &list : lists)
        eioi_list_init(&list);
    for (struct eioi_list &node : nodes)
        eioi_list_init(&node);
    while (!in.empty()) {
        uint8_t what = in.Byte();
        size_t i = what & 1;
        struct eioi_list *node = &nodes[in.Byte() % kNodes];
        bool linked = !eioi_list_empty(node);
        switch (what >> 1 & 3) {
        case 0:
            if (!linked) {
                eioi_list_push_tail(&lists[i], node);
                models[i].push_back(node);
            }
            break;
        case 1:
            if (!linked) {
                eioi_list_push_head(&lists[i], node);
                models[i].push_front(node);
            }
            break;
        case 2:
            eioi_list_unlink(node);
            models[0].remove(node);
            models[1].remove(node);
            break;
        default:
            if (what & 8) {
                eioi_list_move_all(&lists[i], &lists[1 - i]);
                models[1 - i].splice(models[1 - i].end(), models[i]);
            } else {
                struct eioi_list *head = eioi_list_pop_head(&lists[i]);
                CHECK(head == (models[i].empty() ? nullptr : models[i].front()));
                if (head != nullptr)
                    models[i].pop_front();
            }
        }
        for (size_t l = 0; l < 2; l++) {
            auto it = models[l].begin();
            EIOI_LIST_EACH (at, &lists[l]) {
                CHECK(it != models[l].end() && at == *it && at->next->prev == at);
                ++it;
            }
            CHECK(it == models[l].end());
        }
    }
}

void Queue(Input &in) {
    struct eioi_mpsc queue = {};
    std::vector<eioi_mpsc_node> nodes(kNodes);
    std::deque<eioi_mpsc_node *> model;
    size_t next = 0;
    bool asleep = false;
    while (!in.empty()) {
        switch (in.Byte() % 4) {
        case 0:
        case 1:
            if (model.size() < kNodes) {
                eioi_mpsc_node *node = &nodes[next++ % kNodes];
                CHECK(eioi_mpsc_push(&queue, node) == asleep);
                asleep = false;
                model.push_back(node);
            }
            break;
        case 2:
            asleep = eioi_mpsc_sleep(&queue);
            CHECK(asleep == model.empty());
            break;
        default: {
            eioi_mpsc_node *taken = eioi_mpsc_take_all(&queue);
            asleep = false;
            for (; taken != nullptr; taken = taken->next) {
                CHECK(!model.empty() && model.front() == taken);
                model.pop_front();
            }
            CHECK(model.empty());
        }
        }
        CHECK(eioi_mpsc_has_any(&queue) == !model.empty());
    }
}

std::string Quoted(const std::string &text) {
    std::string quoted = "\"";
    for (char byte : text) {
        auto c = static_cast<unsigned char>(byte);
        static const char plain[] = "\"\\\n\t\r\b", escaped[] = "\"\\ntrb";
        const char *at = c == 0 ? nullptr : strchr(plain, c);
        char code[8];
        snprintf(code, sizeof code, "\\%03d", c);
        if (at != nullptr)
            quoted += {'\\', escaped[at - plain]};
        else if (c >= 0x20 && c <= 0x7e)
            quoted += static_cast<char>(c);
        else
            quoted += code;
    }
    return quoted + "\"";
}

void Text(Input &in) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    std::string model;
    while (!in.empty()) {
        uint8_t what = in.Byte();
        std::string piece = in.String(100);
        switch (what % 7) {
        case 0:
            eio_strbuf_add(&sb, piece.data(), piece.size());
            model += piece;
            break;
        case 1:
            eio_strbuf_adds(&sb, piece.c_str());
            model += piece.c_str();
            break;
        case 2:
            eio_strbuf_addc(&sb, static_cast<char>(what));
            model += static_cast<char>(what);
            break;
        case 3:
            eio_strbuf_addf(&sb, "%s|%d", piece.c_str(), what);
            model += std::string(piece.c_str()) + "|" + std::to_string(what);
            break;
        case 4:
            eio_strbuf_add_quoted(&sb, Slice(piece));
            model += Quoted(piece);
            break;
        case 5:
            if (what & 128) {
                eio_strbuf_free(&sb);
                CHECK(sb.base == nullptr);
            }
            eio_strbuf_clear(&sb);
            model.clear();
            break;
        default:
            for (int i = 0; i < what; i++)
                eio_strbuf_add(&sb, piece.data(), piece.size());
            for (int i = 0; i < what; i++)
                model += piece;
        }
        CHECK(!sb.failed && Str(eio_strbuf_slice(&sb)) == model);
        CHECK(eio_strbuf_str(&sb)[model.size()] == '\0');
    }
    eio_strbuf_free(&sb);
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    Input in(data, size);
    switch (in.Byte() % 4) {
    case 0: return Heap(in);
    case 1: return List(in);
    case 2: return Queue(in);
    default: return Text(in);
    }
}

} // namespace eio_fuzz
