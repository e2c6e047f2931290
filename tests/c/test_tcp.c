/* tcp: connections as both ends see them, and the bytes in order. */
#include "talk.h"

static void test_plain(void)
{
    static talk t;
    talk_begin(&t);
    CHECK(talk_say(&t, TO_SERVER, SYN, 1000, 0, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_SYN_SENT);
    CHECK(talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1001, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_SYN_RECV);
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_ESTABLISHED);
    CHECK(!reef_tcp_established(&t.flow)); /* for rules only from the next packet on */
    CHECK(talk_say(&t, TO_SERVER, ACK | PSH, 1001, 5001, "hello "));
    CHECK(reef_tcp_established(&t.flow));
    CHECK(talk_say(&t, TO_CLIENT, ACK, 5001, 1007, "welcome"));
    CHECK(talk_say(&t, TO_SERVER, ACK | PSH, 1007, 5008, "bye"));
    CHECK_EQUAL(reef_tcp_stream_size(&t.flow, TO_SERVER), 10);
    CHECK_EQUAL(reef_tcp_stream_size(&t.flow, TO_CLIENT), 8);
    CHECK(talk_say(&t, TO_SERVER, ACK | FIN, 1010, 5008, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_CLOSE_WAIT);
    CHECK(talk_say(&t, TO_CLIENT, ACK, 5008, 1011, ""));
    CHECK(talk_say(&t, TO_CLIENT, ACK | FIN, 5008, 1011, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_LAST_ACK);
    CHECK(talk_say(&t, TO_SERVER, ACK, 1011, 5009, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_CLOSED);
    CHECK_EQUAL(t.flow.state, REEF_FLOW_CLOSED);
    CHECK_TEXT(t.got[TO_SERVER], "hello bye|");
    CHECK_TEXT(t.got[TO_CLIENT], "welcome|");
    CHECK_EQUAL(t.packet.events, 0);
    talk_end(&t);
}

static void test_server_closes_first(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    talk_say(&t, TO_CLIENT, ACK | FIN, 5001, 1001, "done");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_FIN_WAIT1);
    talk_say(&t, TO_SERVER, ACK, 1001, 5006, "");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_FIN_WAIT2);
    talk_say(&t, TO_SERVER, ACK, 1001, 5006, "still here");
    talk_say(&t, TO_SERVER, ACK | FIN, 1011, 5006, "");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_TIME_WAIT);
    talk_say(&t, TO_CLIENT, ACK, 5006, 1012, "");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_CLOSED);
    CHECK_TEXT(t.got[TO_SERVER], "still here|");
    CHECK_TEXT(t.got[TO_CLIENT], "done|");
    talk_end(&t);
}

static void test_order_and_retransmission(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    CHECK(talk_say(&t, TO_SERVER, ACK, 1006, 5001, "fghij"));
    CHECK_TEXT(t.got[TO_SERVER], "");
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abcde"));
    CHECK_TEXT(t.got[TO_SERVER], "abcdefghij");
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abcde")); /* sent again, not acknowledged yet */
    CHECK(talk_say(&t, TO_SERVER, ACK, 1008, 5001, "hijkl"));
    CHECK_TEXT(t.got[TO_SERVER], "abcdefghijkl");
    talk_say(&t, TO_CLIENT, ACK, 5001, 1013, "");
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abcde")); /* acknowledged long ago */
    CHECK(talk_event(&t, REEF_EV_STREAM_PKT_SPURIOUS_RETRANSMISSION));
    CHECK_TEXT(t.got[TO_SERVER], "abcdefghijkl");
    talk_end(&t);
}

static void test_gap(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abc");
    talk_say(&t, TO_SERVER, ACK, 1009, 5001, "ijk");
    CHECK_TEXT(t.got[TO_SERVER], "abc");
    talk_say(&t, TO_CLIENT, ACK, 5001, 1012, ""); /* the server got what is missing here */
    CHECK_TEXT(t.got[TO_SERVER], "abc[5]ijk");
    CHECK(talk_event(&t, REEF_EV_STREAM_REASSEMBLY_SEQ_GAP));
    talk_say(&t, TO_SERVER, ACK, 1020, 5001, "tail");
    CHECK_TEXT(t.got[TO_SERVER], "abc[5]ijk");
    talk_flush(&t); /* nothing more will come */
    CHECK_TEXT(t.got[TO_SERVER], "abc[5]ijk[8]tail|");
    talk_end(&t);
}

static void test_windows(void)
{
    static talk t;
    talk_begin(&t);
    t.window = 1000;
    talk_open(&t);
    CHECK(!talk_say(&t, TO_SERVER, ACK, 2002, 5001, "beyond what the server takes"));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_PACKET_OUT_OF_WINDOW));
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1001, 9000, "acknowledges what was never sent"));
    CHECK(talk_event(&t, REEF_EV_STREAM_PKT_INVALID_ACK));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_INVALID_ACK));
    CHECK_TEXT(t.got[TO_SERVER], "");
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, "good"));
    CHECK_TEXT(t.got[TO_SERVER], "good");
    talk_end(&t);
}

static void test_window_scale(void)
{
    static talk t;
    talk_begin(&t);
    t.window = 1000;
    talk_option(&t, "\3\3\2\1", 4);
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "");
    talk_option(&t, "\3\3\4\1", 4);
    talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1001, "");
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "");
    talk_say(&t, TO_CLIENT, ACK, 5001, 1001, "x"); /* from now on the server takes 16,000 */
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001 + 12000, 5002, "far ahead, within the scaled window"));
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1001 + 16000, 5002, "outside"));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_PACKET_OUT_OF_WINDOW));
    talk_end(&t);
}

static void test_resets(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abc");
    CHECK(!talk_say(&t, TO_SERVER, RST, 1500, 0, "")); /* injected: not where the client is */
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_ESTABLISHED);
    CHECK(!talk_say(&t, TO_CLIENT, RST | ACK, 5001, 90000, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_RST_INVALID_ACK));
    CHECK(talk_say(&t, TO_SERVER, ACK, 1004, 5001, "def"));
    CHECK(talk_say(&t, TO_CLIENT, RST | ACK, 5001, 1007, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_CLOSED);
    CHECK_TEXT(t.got[TO_SERVER], "abcdef|");
    CHECK_TEXT(t.got[TO_CLIENT], "|");
    talk_end(&t);

    talk_begin(&t); /* what a RST carries is no data of the stream */
    talk_open(&t);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abc");
    talk_say(&t, TO_CLIENT, RST | ACK, 5001, 1004, "denied");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_CLOSED);
    CHECK_TEXT(t.got[TO_SERVER], "abc|");
    CHECK_TEXT(t.got[TO_CLIENT], "|");
    talk_end(&t);

    talk_begin(&t); /* a Linux takes one that lies within the window */
    t.options.policy = REEF_POLICY_LINUX;
    talk_open(&t);
    CHECK(talk_say(&t, TO_SERVER, RST, 1500, 0, ""));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_CLOSED);
    talk_end(&t);

    talk_begin(&t); /* with a signature that cannot be proven: its sender goes on, so it was injected */
    talk_open(&t);
    talk_option(&t, "\23\22\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1", 20);
    talk_say(&t, TO_CLIENT, RST | ACK, 5001, 1001, "");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_CLOSED);
    talk_say(&t, TO_CLIENT, ACK, 5001, 1001, "");
    CHECK(talk_event(&t, REEF_EV_STREAM_SUSPECTED_RST_INJECT));
    talk_end(&t);
}

static void test_timestamps(void)
{
    static talk t;
    talk_begin(&t);
    talk_stamp(&t, 100, 0);
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "");
    talk_stamp(&t, 500, 100);
    talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1001, "");
    talk_stamp(&t, 101, 500);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "");
    talk_stamp(&t, 102, 500);
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abc"));
    talk_stamp(&t, 90, 500); /* older than the last: the server throws it away */
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1004, 5001, "xyz"));
    CHECK(talk_event(&t, REEF_EV_STREAM_PKT_INVALID_TIMESTAMP));
    talk_stamp(&t, 103, 500);
    CHECK(talk_say(&t, TO_SERVER, ACK, 1004, 5001, "def"));
    CHECK_TEXT(t.got[TO_SERVER], "abcdef");
    t.second += 25ull * 24 * 3600; /* so long after it, any stamp is as good */
    talk_stamp(&t, 7, 500);
    CHECK(talk_say(&t, TO_SERVER, ACK, 1007, 5001, "ghi"));
    CHECK_TEXT(t.got[TO_SERVER], "abcdefghi");
    talk_end(&t);

    talk_begin(&t); /* an answer that echoes another stamp than that of the SYN */
    talk_stamp(&t, 100, 0);
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "");
    talk_stamp(&t, 500, 99);
    CHECK(!talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1001, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_PKT_INVALID_TIMESTAMP));
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_SYN_SENT);
    talk_end(&t);
}

static void test_handshakes(void)
{
    static talk t;
    talk_begin(&t); /* split handshake: SYN, SYN, SYN+ACK of the client, ACK */
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "");
    talk_say(&t, TO_CLIENT, SYN, 5000, 0, "");
    talk_say(&t, TO_SERVER, SYN | ACK, 1000, 5001, "");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_SYN_RECV);
    talk_say(&t, TO_CLIENT, ACK, 5001, 1001, "");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_ESTABLISHED);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "split");
    CHECK_TEXT(t.got[TO_SERVER], "split");
    talk_end(&t);

    talk_begin(&t); /* wrong answers */
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "");
    CHECK(!talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1002, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_3WHS_SYNACK_WITH_WRONG_ACK));
    CHECK(!talk_say(&t, TO_SERVER, SYN | ACK, 1000, 5001, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_3WHS_SYNACK_IN_WRONG_DIRECTION));
    talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1001, "");
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1001, 5002, "not the server's"));
    CHECK(talk_event(&t, REEF_EV_STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION));
    CHECK(!talk_say(&t, TO_SERVER, ACK, 900, 4000, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_3WHS_WRONG_SEQ_WRONG_ACK));
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "data with the last step"); /* counts as established at once */
    CHECK(reef_tcp_established(&t.flow));
    CHECK_TEXT(t.got[TO_SERVER], "data with the last step");
    talk_end(&t);

    talk_begin(&t); /* two different answers: the client's acknowledgement says which one it took */
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "");
    talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1001, "");
    for (uint32_t i = 1; i <= REEF_TCP_OFFERS_MAX; i++)
        talk_say(&t, TO_CLIENT, SYN | ACK, 5000 + 1000 * i, 1001, "");
    CHECK(!talk_event(&t, REEF_EV_STREAM_3WHS_SYNACK_FLOOD));
    CHECK(!talk_say(&t, TO_CLIENT, SYN | ACK, 77000, 1001, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_3WHS_SYNACK_FLOOD));
    talk_say(&t, TO_SERVER, ACK, 1001, 7001, "second answer");
    CHECK_TEXT(t.got[TO_SERVER], "second answer");
    talk_say(&t, TO_CLIENT, ACK, 7001, 1014, "taken");
    CHECK_TEXT(t.got[TO_CLIENT], "taken");
    talk_end(&t);

    talk_begin(&t); /* Fast Open: data on the SYN that is taken */
    talk_option(&t, "\42\12\1\2\3\4\5\6\7\10\1\1", 12);
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "early");
    CHECK_TEXT(t.got[TO_SERVER], "early");
    talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1006, "");
    talk_say(&t, TO_CLIENT, ACK, 5001, 1006, "answer");
    CHECK_TEXT(t.got[TO_CLIENT], "answer");
    talk_end(&t);
}

static void test_after_open(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    CHECK(!talk_say(&t, TO_SERVER, SYN, 1000, 0, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_SYN_RESEND));
    CHECK(!talk_say(&t, TO_SERVER, SYN, 3000, 0, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_SYN_RESEND_DIFF_SEQ));
    CHECK(!talk_say(&t, TO_CLIENT, SYN, 5000, 0, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_SYN_TOCLIENT));
    CHECK(!talk_say(&t, TO_CLIENT, SYN | ACK, 5500, 1001, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_SYNACK_RESEND_WITH_DIFF_SEQ));
    talk_say(&t, TO_CLIENT, ACK, 5001, 1001, "confirmed");
    CHECK(!talk_say(&t, TO_CLIENT, SYN | ACK, 5000, 1001, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_EST_SYNACK_RESEND));
    CHECK(!talk_say(&t, TO_SERVER, FIN | ACK, 900, 5010, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_FIN_OUT_OF_WINDOW));
    CHECK(!talk_say(&t, TO_SERVER, PSH, 1001, 77, "no acknowledgement"));
    CHECK(talk_event(&t, REEF_EV_STREAM_PKT_BROKEN_ACK));
    CHECK_TEXT(t.got[TO_CLIENT], "confirmed");
    talk_end(&t);
}

static void test_keep_alive_and_probe(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abc");
    talk_say(&t, TO_CLIENT, ACK, 5001, 1004, "");
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1003, 5001, "?")); /* keep-alive: a byte that means nothing */
    CHECK_EQUAL(t.packet.events, 0);
    talk_say(&t, TO_CLIENT, ACK, 5001, 1004, "");
    CHECK_EQUAL(t.packet.events, 0);
    t.window = 0;
    talk_say(&t, TO_CLIENT, ACK, 5001, 1004, ""); /* the server takes nothing */
    t.window = 65535;
    CHECK(talk_say(&t, TO_SERVER, ACK, 1004, 5001, "d")); /* is that so? */
    CHECK_EQUAL(t.packet.events, 0);
    CHECK_TEXT(t.got[TO_SERVER], "abcd");
    talk_end(&t);
}

static void test_midstream(void)
{
    static talk t;
    talk_begin(&t);
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1001, 5001, "not seen to open"));
    CHECK(t.flow.tcp == NULL);
    CHECK(!talk_say(&t, TO_SERVER, FIN | ACK, 1001, 5001, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_FIN_BUT_NO_SESSION));
    CHECK(!talk_say(&t, TO_SERVER, RST, 1001, 0, ""));
    CHECK(talk_event(&t, REEF_EV_STREAM_RST_BUT_NO_SESSION));
    CHECK(!t.flow.refused);
    t.options.inline_ = true; /* where packets can be stopped, this one is */
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1001, 5001, "not seen to open"));
    CHECK(t.flow.refused);
    t.options.inline_ = false;
    t.options.midstream = true;
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, "picked up"));
    CHECK(reef_tcp_midstream(&t.flow));
    CHECK(talk_say(&t, TO_CLIENT, ACK, 5001, 1010, "answered"));
    CHECK(reef_tcp_established(&t.flow));
    CHECK_TEXT(t.got[TO_SERVER], "picked up");
    CHECK_TEXT(t.got[TO_CLIENT], "answered");
    talk_end(&t);
}

static void test_one_side(void)
{
    static talk t;
    talk_begin(&t);
    t.options.async_oneside = true;
    talk_say(&t, TO_SERVER, SYN, 1000, 0, "");
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "only ");
    talk_say(&t, TO_SERVER, ACK, 1006, 5400, "one side");
    CHECK_TEXT(t.got[TO_SERVER], "only one side");
    CHECK_EQUAL(t.flow.tcp_state, REEF_TCP_ESTABLISHED);
    talk_end(&t);
}

static void test_reuse(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    t.packet.tcp_flags = SYN;
    t.packet.tcp_sequence = 9000;
    CHECK(!reef_tcp_reused(&t.flow, TO_SERVER, &t.packet)); /* still open */
    talk_say(&t, TO_SERVER, RST, 1001, 0, "");
    t.packet.tcp_flags = SYN;
    t.packet.tcp_sequence = 1000;
    CHECK(!reef_tcp_reused(&t.flow, TO_SERVER, &t.packet)); /* the same SYN again */
    t.packet.tcp_sequence = 9000;
    CHECK(reef_tcp_reused(&t.flow, TO_SERVER, &t.packet));
    t.packet.tcp_flags = SYN | ACK;
    CHECK(!reef_tcp_reused(&t.flow, TO_SERVER, &t.packet));
    talk_end(&t);
}

static void test_overlaps(void)
{
    /* "aaaa" at 10, then "bbbbbb" at 8, then what is missing in front: whose bytes hold at 10? */
    static const struct { reef_tcp_policy policy; const char *earlier, *later, *same_longer; } of[] = {
        {REEF_POLICY_FIRST, "bbaaaa", "aaaabb", "aaaab"},   {REEF_POLICY_VISTA, "bbaaaa", "aaaabb", "aaaab"},
        {REEF_POLICY_LAST, "bbbbbb", "aabbbb", "bbbbb"},    {REEF_POLICY_BSD, "bbbbbb", "aaaabb", "aaaab"},
        {REEF_POLICY_WINDOWS, "bbbbbb", "aaaabb", "aaaab"}, {REEF_POLICY_LINUX, "bbbbbb", "aaaabb", "bbbbb"},
        {REEF_POLICY_SOLARIS, "bbbbbb", "aabbbb", "bbbbb"}, {REEF_POLICY_HPUX11, "bbbbbb", "aabbbb", "bbbbb"},
        {REEF_POLICY_OLD_LINUX, "bbbbbb", "aaaabb", "bbbbb"},
    };
    static talk t;
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
        talk_begin(&t);
        t.options.policy = of[i].policy;
        talk_open(&t);
        talk_say(&t, TO_SERVER, ACK, 1004, 5001, "aaaa");
        talk_say(&t, TO_SERVER, ACK, 1002, 5001, "bbbbbb");
        CHECK(talk_event(&t, REEF_EV_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA));
        talk_say(&t, TO_SERVER, ACK, 1001, 5001, "^");
        CHECK_TEXT(t.got[TO_SERVER] + 1, of[i].earlier);
        talk_end(&t);

        talk_begin(&t);
        t.options.policy = of[i].policy;
        talk_open(&t);
        talk_say(&t, TO_SERVER, ACK, 1002, 5001, "aaaa");
        talk_say(&t, TO_SERVER, ACK, 1004, 5001, "bbbb");
        talk_say(&t, TO_SERVER, ACK, 1001, 5001, "^");
        CHECK_TEXT(t.got[TO_SERVER] + 1, of[i].later);
        talk_end(&t);

        talk_begin(&t);
        t.options.policy = of[i].policy;
        talk_open(&t);
        talk_say(&t, TO_SERVER, ACK, 1002, 5001, "aaaa");
        talk_say(&t, TO_SERVER, ACK, 1002, 5001, "bbbbb");
        talk_say(&t, TO_SERVER, ACK, 1001, 5001, "^");
        CHECK_TEXT(t.got[TO_SERVER] + 1, of[i].same_longer);
        talk_end(&t);
    }
}

static void test_depth(void)
{
    static talk t;
    talk_begin(&t);
    t.options.depth = 10;
    talk_open(&t);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "01234567");
    talk_say(&t, TO_SERVER, ACK, 1020, 5001, "far ahead"); /* ends nothing */
    CHECK(!talk_event(&t, REEF_EV_STREAM_REASSEMBLY_DEPTH_REACHED));
    talk_say(&t, TO_SERVER, ACK, 1009, 5001, "89");
    talk_say(&t, TO_SERVER, ACK, 1011, 5001, "more");
    CHECK(talk_event(&t, REEF_EV_STREAM_REASSEMBLY_DEPTH_REACHED));
    talk_say(&t, TO_SERVER, ACK, 1015, 5001, "and more");
    CHECK_TEXT(t.got[TO_SERVER], "0123456789|");
    talk_end(&t);
}

static void test_bounds(void)
{
    static talk t;
    talk_begin(&t);
    talk_open(&t);
    for (uint32_t i = 0; i < REEF_TCP_PIECES_MAX; i++)
        CHECK(talk_say(&t, TO_SERVER, ACK, 1003 + 2 * i, 5001, "x"));
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1003 + 2 * REEF_TCP_PIECES_MAX, 5001, "x"));
    CHECK(talk_event(&t, REEF_EV_STREAM_REASSEMBLY_INSERT_LIMIT));
    talk_end(&t);
}

/* --- what stream rules look at ---------------------------------------------------------------------------- */

static bool raw_is(talk *t, bool flush, const char *text, uint64_t offset, uint32_t fresh)
{
    reef_raw raw;
    if (!reef_tcp_raw(t->memory, &t->options, &t->flow, TO_SERVER, flush, &raw))
        return text == NULL;
    bool same = text != NULL && raw.bytes.length == strlen(text) && memcmp(raw.bytes.data, text, raw.bytes.length) == 0 &&
                raw.offset == offset && raw.fresh == fresh;
    reef_tcp_raw_done(t->memory, &t->flow, TO_SERVER);
    return same;
}

static void test_raw(void)
{
    static talk t;
    talk_begin(&t);
    t.raw = true;
    t.options.raw_chunk = 8;
    talk_open(&t);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "abcd");
    CHECK(raw_is(&t, false, NULL, 0, 0)); /* gathered until there is enough */
    talk_say(&t, TO_SERVER, ACK, 1005, 5001, "efgh");
    CHECK(raw_is(&t, false, "abcdefgh", 0, 8));
    CHECK(raw_is(&t, true, NULL, 0, 0));
    talk_say(&t, TO_SERVER, ACK, 1009, 5001, "ij");
    CHECK(raw_is(&t, true, "abcdefghij", 0, 2)); /* flushed; what was seen before stands in front */
    talk_say(&t, TO_SERVER, ACK, 1011, 5001, "kl");
    talk_say(&t, TO_SERVER, ACK, 1016, 5001, "pq");
    talk_say(&t, TO_CLIENT, ACK, 5001, 1018, "");
    CHECK(raw_is(&t, false, "abcdefghijkl", 0, 2)); /* up to the gap at once */
    CHECK(raw_is(&t, false, NULL, 0, 0));
    talk_say(&t, TO_SERVER, FIN | ACK, 1018, 5001, "");
    CHECK(raw_is(&t, false, "pq", 15, 2)); /* the end: no waiting */
    talk_end(&t);

    talk_begin(&t); /* the tail is bounded */
    t.raw = true;
    talk_open(&t);
    static char large[3000];
    memset(large, 'x', sizeof large);
    talk_bytes(&t, TO_SERVER, ACK, 1001, 5001, large, sizeof large);
    reef_raw raw;
    CHECK(reef_tcp_raw(t.memory, &t.options, &t.flow, TO_SERVER, false, &raw));
    CHECK_EQUAL(raw.fresh, 3000);
    reef_tcp_raw_done(t.memory, &t.flow, TO_SERVER);
    talk_bytes(&t, TO_SERVER, ACK, 4001, 5001, large, sizeof large);
    CHECK(reef_tcp_raw(t.memory, &t.options, &t.flow, TO_SERVER, false, &raw));
    CHECK_EQUAL(raw.fresh, 3000);
    CHECK_EQUAL(raw.bytes.length, 3000 + REEF_TCP_RAW_TAIL);
    CHECK_EQUAL(raw.offset, 3000 - REEF_TCP_RAW_TAIL);
    reef_tcp_raw_stop(t.memory, &t.flow, TO_SERVER);
    talk_bytes(&t, TO_SERVER, ACK, 7001, 5001, large, 100);
    CHECK(!reef_tcp_raw(t.memory, &t.options, &t.flow, TO_SERVER, true, &raw));
    talk_end(&t);
}

/* A retransmission that says something else than what was handed over. */
static void test_changed_retransmission(void)
{
    static talk t;
    talk_begin(&t);
    t.raw = true;
    talk_open(&t);
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "harmless");
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "harmless and more");
    CHECK(!talk_event(&t, REEF_EV_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA));
    talk_say(&t, TO_SERVER, ACK, 1001, 5001, "harmful.");
    CHECK(talk_event(&t, REEF_EV_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA));
    CHECK_TEXT(t.got[TO_SERVER], "harmless and more");
    talk_end(&t);
}

/* Sequence numbers wrap. */
static void test_wrap(void)
{
    static talk t;
    talk_begin(&t);
    talk_say(&t, TO_SERVER, SYN, 0xfffffffa, 0, "");
    talk_say(&t, TO_CLIENT, SYN | ACK, 0xffffffff, 0xfffffffb, "");
    talk_say(&t, TO_SERVER, ACK, 0xfffffffb, 0, "");
    talk_say(&t, TO_SERVER, ACK, 0x00000003, 0, "ijk");
    talk_say(&t, TO_SERVER, ACK, 0xfffffffb, 0, "abcdefgh");
    CHECK_TEXT(t.got[TO_SERVER], "abcdefghijk");
    talk_end(&t);
}

/* Memory is short: a flow of which little is known keeps nothing, one that both ends take part in goes on. */
static void test_memory_cap(void)
{
    static talk t;
    talk_begin(&t);
    reef_memory *small;
    CHECK_EQUAL(reef_memory_new(16384, &small), REEF_OK);
    reef_memory_free(t.memory);
    t.memory = small;
    talk_open(&t);
    void *others = reef_memory_get(small, 13000);
    CHECK(others != NULL);
    CHECK(!talk_say(&t, TO_SERVER, ACK, 1010, 5001, "waits"));
    CHECK(talk_event(&t, REEF_EV_STREAM_REASSEMBLY_NO_SEGMENT));
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, "in order"));
    talk_say(&t, TO_CLIENT, ACK, 5001, 1009, "known by now");
    CHECK(talk_say(&t, TO_SERVER, ACK, 1012, 5013, "waits"));
    CHECK_TEXT(t.got[TO_SERVER], "in order");
    reef_memory_give(small, others, 13000);
    talk_end(&t);
}

/* Half-open connections by the thousand: what they take stays below the limit, those that come too late go without, and a
 * connection that was there before goes on. */
static void test_flood(void)
{
    enum { FLOWS = 20000 };
    static talk t;
    static reef_flow flood[FLOWS];
    talk_begin(&t);
    reef_memory_free(t.memory);
    CHECK_EQUAL(reef_memory_new(1u << 20, &t.memory), REEF_OK);
    talk_open(&t);
    unsigned followed = 0;
    for (unsigned i = 0; i < FLOWS; i++) {
        reef_packet packet = {.transport = t.header, .payload = t.header, .flags = REEF_PACKET_TRANSPORT, .tcp_flags = SYN,
                              .tcp_sequence = i, .tcp_window = 1024};
        flood[i].key.version = 4;
        reef_tcp_segment(t.memory, &t.options, &flood[i], TO_SERVER, &packet);
        followed += flood[i].tcp != NULL;
    }
    CHECK(followed > 0 && followed < FLOWS);
    reef_memory_counters counters;
    reef_memory_count(t.memory, &counters);
    CHECK(counters.peak <= counters.limit);
    CHECK(talk_say(&t, TO_SERVER, ACK, 1001, 5001, "still here"));
    CHECK_TEXT(t.got[TO_SERVER], "still here");
    for (unsigned i = 0; i < FLOWS; i++)
        reef_tcp_free(t.memory, &flood[i]);
    talk_end(&t);
}

int main(void)
{
    test_plain();
    test_server_closes_first();
    test_order_and_retransmission();
    test_gap();
    test_windows();
    test_window_scale();
    test_resets();
    test_timestamps();
    test_handshakes();
    test_after_open();
    test_keep_alive_and_probe();
    test_midstream();
    test_one_side();
    test_reuse();
    test_overlaps();
    test_depth();
    test_bounds();
    test_raw();
    test_changed_retransmission();
    test_wrap();
    test_memory_cap();
    test_flood();
    return 0;
}
