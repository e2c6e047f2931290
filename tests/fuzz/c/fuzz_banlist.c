/* Lists of strangers: text and the packed form. What is read is sorted, each once, none too wide, and comes back from its
 * packed form as it was. */
#include "fuzz.h"
#include "reef/banlist.h"
#include "reef/status.h"

static void check_sorted(const reef_banlist *list)
{
    const struct reef_prefix4 *four;
    const struct reef_prefix6 *six;
    size_t count4 = reef_banlist_entries4(list, &four), count6 = reef_banlist_entries6(list, &six);
    for (size_t i = 0; i < count4; i++) {
        MUST(four[i].length >= REEF_BAN4_SHORTEST && four[i].length <= 32);
        MUST(i == 0 || four[i - 1].address < four[i].address ||
             (four[i - 1].address == four[i].address && four[i - 1].length < four[i].length));
    }
    for (size_t i = 0; i < count6; i++)
        MUST(six[i].length >= REEF_BAN6_SHORTEST && six[i].length <= 128);
}

static void check_packed(const reef_banlist *list, int version)
{
    size_t count = reef_banlist_count(list, version), size = count * (version == 4 ? 5 : 17);
    struct reef_banlist_report report = {0};
    uint8_t *packed = malloc(size + 1), *again = malloc(size + 1);
    reef_banlist *read;
    MUST(packed != NULL && again != NULL && reef_banlist_new(&read) == REEF_OK);
    reef_banlist_pack(list, version, packed);
    MUST(reef_banlist_unpack(read, version, packed, size) == REEF_OK);
    reef_banlist_finish(read, &report);
    MUST(report.duplicates == 0 && reef_banlist_count(read, version) == count);
    reef_banlist_pack(read, version, again);
    MUST(memcmp(packed, again, size) == 0);
    reef_banlist_free(read);
    free(packed);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reef_banlist_report report = {0};
    reef_banlist *list;
    MUST(reef_banlist_new(&list) == REEF_OK);
    if (size > 0 && data[0] < 2) {
        int status = reef_banlist_unpack(list, data[0] ? 6 : 4, data + 1, size - 1);
        MUST(status == REEF_OK || status == REEF_FORMAT);
    } else {
        MUST(reef_banlist_text(list, (const char *)data, size, &report) == REEF_OK);
        MUST(report.bad <= report.lines && report.note_count <= REEF_BANLIST_NOTES);
    }
    reef_banlist_finish(list, &report);
    check_sorted(list);
    check_packed(list, 4);
    check_packed(list, 6);
    reef_banlist_free(list);
    return 0;
}
