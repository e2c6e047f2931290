/* Lists as people and list makers write them: what is good is read, what is bad is counted, and nothing else happens. */
#include "check.h"
#include "reef/banlist.h"
#include "reef/status.h"

static reef_banlist *list;
static struct reef_banlist_report report;

static void read_text(const char *text)
{
    reef_banlist_free(list);
    memset(&report, 0, sizeof report);
    CHECK_EQUAL(reef_banlist_new(&list), REEF_OK);
    CHECK_EQUAL(reef_banlist_text(list, text, strlen(text), &report), REEF_OK);
    reef_banlist_finish(list, &report);
}

static void check4(size_t at, uint32_t address, uint32_t length)
{
    const struct reef_prefix4 *entries;
    CHECK(at < reef_banlist_entries4(list, &entries));
    CHECK_EQUAL(entries[at].address, address);
    CHECK_EQUAL(entries[at].length, length);
}

static void what_list_makers_write(void)
{
    read_text("# a list\n"
              "192.0.2.1\n"
              "198.51.100.0/24 ; SBL123\n"
              "\t203.0.113.7\t# why\r\n"
              "2001:db8::/32, provider\n"
              "\n;\n"
              "192.0.2.1\n"
              "203.0.113.0/25");
    CHECK_EQUAL(report.lines, 6);
    CHECK_EQUAL(report.bad, 0);
    CHECK_EQUAL(report.duplicates, 1);
    CHECK_EQUAL(reef_banlist_count(list, 4), 4);
    CHECK_EQUAL(reef_banlist_count(list, 6), 1);
    check4(0, 0xc0000201, 32);
    check4(1, 0xc6336400, 24);
    check4(2, 0xcb007100, 25);
    check4(3, 0xcb007107, 32);
}

static void what_is_wrong(void)
{
    read_text("0.0.0.0/0\n::/0\n10.0.0.0/7\n2000::/15\nexample.org\n1.2.3\n1.2.3.4.5\n1.2.3.256\n01.2.3.4\n1.2.3.4/33\n1.2.3.4/\n"
              "1.2.3.4/024\n::1/129\n1.2.3.9-1.2.3.4\n1.2.3.4-2001::\n1.2.3.4-\n-\n/\n,\n10.0.0.0-20.0.0.0\nfe80::1%eth0\n1.2.3.4x\n");
    CHECK_EQUAL(report.lines, 22);
    CHECK_EQUAL(report.bad, 22);
    CHECK_EQUAL(report.note_count, REEF_BANLIST_NOTES);
    CHECK_EQUAL(report.notes[0].line, 1);
    CHECK_EQUAL(report.notes[0].wide, 1);
    CHECK_EQUAL(report.notes[4].line, 5);
    CHECK_EQUAL(report.notes[4].wide, 0);
    CHECK_EQUAL(reef_banlist_count(list, 4) + reef_banlist_count(list, 6), 0);
}

static void bits_behind_the_length(void)
{
    read_text("10.1.2.3/16\n2001:db8::5/64\n");
    CHECK_EQUAL(report.masked, 2);
    check4(0, 0x0a010000, 16);
}

static void ranges_become_the_fewest_prefixes(void)
{
    read_text("10.0.0.1-10.0.0.6\n");
    CHECK_EQUAL(reef_banlist_count(list, 4), 4);
    check4(0, 0x0a000001, 32);
    check4(1, 0x0a000002, 31);
    check4(2, 0x0a000004, 31);
    check4(3, 0x0a000006, 32);
    read_text("255.255.255.0-255.255.255.255\n0.0.0.0-0.0.0.0\n");
    CHECK_EQUAL(reef_banlist_count(list, 4), 2);
    check4(1, 0xffffff00, 24);
    read_text("2001:db8::-2001:db8::ffff\nffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n");
    CHECK_EQUAL(reef_banlist_count(list, 6), 2);
    CHECK_EQUAL(report.bad, 0);
}

static void packed_and_back(void)
{
    uint8_t four[3 * 5], six[17];
    reef_banlist *again;
    read_text("10.0.0.1\n10.2.0.0/16\n192.0.2.128/25\n2001:db8::/48\n");
    reef_banlist_pack(list, 4, four);
    reef_banlist_pack(list, 6, six);
    CHECK_EQUAL(four[0], 10);
    CHECK_EQUAL(four[4], 32);
    CHECK_EQUAL(six[16], 48);
    CHECK_EQUAL(reef_banlist_new(&again), REEF_OK);
    CHECK_EQUAL(reef_banlist_unpack(again, 4, four, sizeof four), REEF_OK);
    CHECK_EQUAL(reef_banlist_unpack(again, 6, six, sizeof six), REEF_OK);
    CHECK_EQUAL(reef_banlist_count(again, 4), 3);
    CHECK_EQUAL(reef_banlist_count(again, 6), 1);
    CHECK_EQUAL(reef_banlist_unpack(again, 4, four, sizeof four - 1), REEF_FORMAT);
    four[4] = 0; /* everybody */
    CHECK_EQUAL(reef_banlist_unpack(again, 4, four, sizeof four), REEF_FORMAT);
    four[4] = 7;
    CHECK_EQUAL(reef_banlist_unpack(again, 4, four, sizeof four), REEF_FORMAT);
    reef_banlist_free(again);
}

int main(void)
{
    what_list_makers_write();
    what_is_wrong();
    bits_behind_the_length();
    ranges_become_the_fewest_prefixes();
    packed_and_back();
    reef_banlist_free(list);
    return 0;
}
