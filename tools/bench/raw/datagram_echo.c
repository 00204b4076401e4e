// SPDX-License-Identifier: ISC
// datagram_echo ADDRESS [batch=N]: recvmmsg and sendmmsg of up to `batch` datagrams at a time, in a
// loop that blocks: with batch=1 what a first program does, with more the least system calls.

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tools/bench/common/address.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"

enum { MOST = 64, DATAGRAM = 65536 };

static uint8_t space[MOST][DATAGRAM];
static struct iovec parts[MOST];
static struct sockaddr_storage peers[MOST];
static struct mmsghdr messages[MOST];

int main(int argc, char **argv) {
    if (argc < 2)
        die("usage: datagram_echo ADDRESS [batch=N]");
    unsigned batch = 1;
    const struct option_place places[] = {{.key = "batch", .number = &batch}};
    parse_options(argv + 2, places, sizeof places / sizeof *places);
    if (batch == 0 || batch > MOST)
        die("a batch has 1 to %d datagrams", MOST);
    struct address address;
    parse_address(argv[1], &address);
    int fd = bind_socket(&address, 0);
    for (;;) {
        for (unsigned i = 0; i < batch; i++) {
            parts[i] = (struct iovec){.iov_base = space[i], .iov_len = DATAGRAM};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &peers[i],
                .msg_namelen = sizeof peers[i],
                .msg_iov = &parts[i],
                .msg_iovlen = 1,
            };
        }
        int got = recvmmsg(fd, messages, batch, MSG_WAITFORONE, NULL);
        if (got < 0)
            die_errno(errno, "recvmmsg");
        for (int i = 0; i < got; i++)
            parts[i].iov_len = messages[i].msg_len;
        // What the other side's buffer has no room for is lost, as datagrams are.
        if (sendmmsg(fd, messages, (unsigned)got, 0) < 0)
            die_errno(errno, "sendmmsg");
    }
}
