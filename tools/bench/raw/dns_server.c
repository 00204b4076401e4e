// SPDX-License-Identifier: ISC
// dns_server ADDRESS: answers every question for an A record with 127.1.2.3, and every other one
// with no records; recvmmsg and sendmmsg of up to 64 at a time, so that it isn't what limits.

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tools/bench/common/address.h"
#include "tools/bench/common/die.h"

// RFC 1035, 4.1.
enum { BATCH = 64, MESSAGE = 1500, QUESTION = 1400, HEADER = 12, TYPE_A = 1 };

static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 1, 2, 3};

/** Turns the question into its answer; the answer's length, 0 for what is no question. */
static size_t answer(uint8_t *message, size_t len) {
    size_t at = HEADER;
    while (at < len && message[at] != 0)
        at += message[at] + 1u;
    at += 5; // the root's length, type and class
    if (len < HEADER || at > len)
        return 0;
    unsigned type = (unsigned)message[at - 4] << 8 | message[at - 3];
    message[2] = 0x81; // an answer, recursion desired
    message[3] = 0x80; // and available
    memset(message + 6, 0, 6);
    if (type == TYPE_A) {
        message[7] = 1;
        memcpy(message + at, record, sizeof record);
        at += sizeof record;
    }
    return at;
}

int main(int argc, char **argv) {
    if (argc != 2)
        die("usage: dns_server ADDRESS");
    struct address address;
    parse_address(argv[1], &address);
    int fd = bind_socket(&address, 0);
    static uint8_t space[BATCH][MESSAGE];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];
    static struct sockaddr_storage peers[BATCH];
    for (;;) {
        for (unsigned i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){.iov_base = space[i], .iov_len = QUESTION};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &peers[i],
                .msg_namelen = sizeof peers[i],
                .msg_iov = &parts[i],
                .msg_iovlen = 1,
            };
        }
        int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (got < 0)
            die_errno(errno, "recvmmsg");
        for (int i = 0; i < got; i++)
            parts[i].iov_len = answer(space[i], messages[i].msg_len);
        if (sendmmsg(fd, messages, (unsigned)got, 0) < 0)
            die_errno(errno, "sendmmsg");
    }
}
