/* nfqueue: what the kernel's messages say, and what of them is not believed. */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include "check.h"
#include "reef/nfqueue.h"

typedef struct message {
    uint8_t bytes[1024];
    uint32_t length;
} message;

static void begin(message *m, unsigned type, uint16_t queue)
{
    struct nlmsghdr header = {.nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | type)};
    struct nfgenmsg about = {.nfgen_family = 2, .res_id = htons(queue)};
    memset(m, 0, sizeof *m);
    memcpy(m->bytes, &header, sizeof header);
    memcpy(m->bytes + sizeof header, &about, sizeof about);
    m->length = sizeof header + sizeof about;
}

static void add(message *m, unsigned type, const void *value, uint32_t size)
{
    struct nlattr header = {.nla_len = (uint16_t)(sizeof header + size), .nla_type = (uint16_t)type};
    memcpy(m->bytes + m->length, &header, sizeof header);
    memcpy(m->bytes + m->length + sizeof header, value, size);
    m->length += (uint32_t)NLA_ALIGN(sizeof header + size);
}

static void add_word(message *m, unsigned type, uint32_t value)
{
    value = htonl(value);
    add(m, type, &value, sizeof value);
}

static void end(message *m)
{
    memcpy(m->bytes, &m->length, sizeof m->length);
}

static message packet(void)
{
    message m;
    struct nfqnl_msg_packet_hdr about = {.packet_id = htonl(77), .hook = 2};
    begin(&m, NFQNL_MSG_PACKET, 5);
    add(&m, NFQA_PACKET_HDR, &about, sizeof about);
    add_word(&m, NFQA_IFINDEX_INDEV, 3);
    add_word(&m, NFQA_IFINDEX_OUTDEV, 4);
    add_word(&m, NFQA_MARK, 0x80000009);
    add_word(&m, NFQA_CAP_LEN, 70000);
    add(&m, NFQA_PAYLOAD, "what is in it", 13);
    end(&m);
    return m;
}

static void test_a_packet_is_read(void)
{
    message m = packet();
    reef_queued queued;
    CHECK(reef_nfqueue_read(m.bytes, m.length, &queued));
    CHECK_EQUAL(queued.id, 77);
    CHECK_EQUAL(queued.queue, 5);
    CHECK_EQUAL(queued.hook, 2);
    CHECK_EQUAL(queued.in, 3);
    CHECK_EQUAL(queued.out, 4);
    CHECK_EQUAL(queued.mark, 0x80000009);
    CHECK_EQUAL(queued.length, 70000);
    CHECK_EQUAL(queued.captured, 13);
    CHECK(memcmp(m.bytes + queued.at, "what is in it", 13) == 0);
}

static void test_a_packet_without_contents_is_one(void)
{
    message m;
    struct nfqnl_msg_packet_hdr about = {.packet_id = htonl(1)};
    reef_queued queued;
    begin(&m, NFQNL_MSG_PACKET, 0);
    add(&m, NFQA_PACKET_HDR, &about, sizeof about);
    end(&m);
    CHECK(reef_nfqueue_read(m.bytes, m.length, &queued));
    CHECK_EQUAL(queued.captured, 0);
    CHECK_EQUAL(queued.length, 0);
}

static void test_what_is_no_packet_is_not_read_as_one(void)
{
    message m = packet();
    reef_queued queued;
    m.bytes[4] = NFQNL_MSG_VERDICT;
    CHECK(!reef_nfqueue_read(m.bytes, m.length, &queued));
    begin(&m, NFQNL_MSG_PACKET, 0);
    add_word(&m, NFQA_MARK, 1); /* without its number nothing can be said about it */
    end(&m);
    CHECK(!reef_nfqueue_read(m.bytes, m.length, &queued));
    CHECK(!reef_nfqueue_read(m.bytes, 0, &queued));
}

/* Cut anywhere, and with any length in front, nothing is read beyond the end. */
static void test_a_cut_message_stays_within_its_bytes(void)
{
    message m = packet();
    for (uint32_t length = 0; length <= m.length; length++) {
        uint8_t *copy = malloc(length > 0 ? length : 1);
        CHECK(copy != NULL);
        memcpy(copy, m.bytes, length);
        if (length >= 4)
            memcpy(copy, &length, sizeof length);
        reef_queued queued;
        if (reef_nfqueue_read(copy, length, &queued))
            CHECK(queued.captured <= length && queued.at <= length - queued.captured);
        free(copy);
    }
}

int main(void)
{
    test_a_packet_is_read();
    test_a_packet_without_contents_is_one();
    test_what_is_no_packet_is_not_read_as_one();
    test_a_cut_message_stays_within_its_bytes();
    return 0;
}
