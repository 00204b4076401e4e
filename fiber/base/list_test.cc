// SPDX-License-Identifier: ISC
#include "fiber/base/list.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

struct Item {
    int value;
    eioi_list node;
};

Item *ItemOf(eioi_list *node) {
    return EIOI_CONTAINER_OF(node, Item, node);
}

class ListTest : public ::testing::Test {
  protected:
    void SetUp() override {
        eioi_list_init(&list_);
        for (int i = 0; i < 4; i++) {
            items_[i].value = i;
            eioi_list_init(&items_[i].node);
        }
    }

    // The values front to back, having checked that the way back has the same.
    std::vector<int> Values() {
        std::vector<int> values;
        EIOI_LIST_EACH (it, &list_)
            values.push_back(ItemOf(it)->value);
        std::vector<int> back;
        for (eioi_list *it = list_.prev; it != &list_; it = it->prev)
            back.insert(back.begin(), ItemOf(it)->value);
        EXPECT_EQ(values, back);
        return values;
    }

    eioi_list list_;
    Item items_[4];
};

using V = std::vector<int>;

TEST_F(ListTest, ANewListIsEmpty) {
    EXPECT_TRUE(eioi_list_empty(&list_));
    EXPECT_EQ(eioi_list_pop_head(&list_), nullptr);
    EXPECT_EQ(Values(), V{});
}

TEST_F(ListTest, TheTailIsAfterAndTheHeadIsBeforeWhatWasThere) {
    eioi_list_push_tail(&list_, &items_[1].node);
    eioi_list_push_tail(&list_, &items_[2].node);
    eioi_list_push_head(&list_, &items_[0].node);
    EXPECT_FALSE(eioi_list_empty(&list_));
    EXPECT_EQ(Values(), (V{0, 1, 2}));
}

TEST_F(ListTest, PopTakesFromTheHead) {
    for (Item &item : items_)
        eioi_list_push_tail(&list_, &item.node);
    EXPECT_EQ(eioi_list_pop_head(&list_), &items_[0].node);
    EXPECT_TRUE(eioi_list_empty(&items_[0].node)) << "what was popped is unlinked";
    EXPECT_EQ(Values(), (V{1, 2, 3}));
}

TEST_F(ListTest, UnlinkTakesFromAnywhereAndTwiceIsHarmless) {
    for (Item &item : items_)
        eioi_list_push_tail(&list_, &item.node);
    eioi_list_unlink(&items_[1].node);
    eioi_list_unlink(&items_[1].node);
    EXPECT_EQ(Values(), (V{0, 2, 3}));
    eioi_list_unlink(&items_[0].node);
    eioi_list_unlink(&items_[3].node);
    EXPECT_EQ(Values(), V{2});
    eioi_list_unlink(&items_[2].node);
    EXPECT_TRUE(eioi_list_empty(&list_));
}

TEST_F(ListTest, AWalkMayUnlinkTheNodeThatItIsAt) {
    for (Item &item : items_)
        eioi_list_push_tail(&list_, &item.node);
    V seen;
    EIOI_LIST_EACH (it, &list_) {
        seen.push_back(ItemOf(it)->value);
        if (ItemOf(it)->value % 2 == 0)
            eioi_list_unlink(it);
    }
    EXPECT_EQ(seen, (V{0, 1, 2, 3}));
    EXPECT_EQ(Values(), (V{1, 3}));
}

TEST_F(ListTest, AllNodesOfAListMoveBehindThoseOfAnotherInTheirOrder) {
    eioi_list other;
    eioi_list_init(&other);
    eioi_list_move_all(&other, &list_);
    EXPECT_EQ(Values(), V{});
    eioi_list_push_tail(&list_, &items_[0].node);
    eioi_list_push_tail(&other, &items_[1].node);
    eioi_list_push_tail(&other, &items_[2].node);
    eioi_list_move_all(&other, &list_);
    EXPECT_EQ(Values(), (V{0, 1, 2}));
    EXPECT_TRUE(eioi_list_empty(&other));
}

} // namespace
