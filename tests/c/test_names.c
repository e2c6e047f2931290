/* names: found by number, by longest prefix of an address, by log prefix; bounded. */
#include "check.h"
#include "reef/limits.h"
#include "reef/names.h"
#include "reef/status.h"

int main(void)
{
    reef_names *names;
    CHECK_EQUAL(reef_names_new("site", &names), REEF_OK);
    CHECK(reef_names_interface_name(names, 3) == NULL);
    CHECK_EQUAL(reef_names_interface(names, 3, "lan0", "lan"), REEF_OK);
    CHECK_EQUAL(reef_names_interface(names, 3, "lan1", ""), REEF_OK); /* renamed */
    CHECK_TEXT(reef_names_interface_name(names, 3), "lan1");
    CHECK_TEXT(reef_names_zone_of_interface(names, 3), "");
    CHECK_TEXT(reef_names_zone_of_interface(names, 4), "");

    const uint8_t ten[4] = {10, 0, 0, 0}, inner[4] = {10, 20, 16, 0}, inside[4] = {10, 20, 31, 1}, beside[4] = {10, 20, 32, 1};
    const uint8_t outside[4] = {192, 0, 2, 1};
    CHECK_EQUAL(reef_names_network(names, 4, ten, 8, "wide"), REEF_OK);
    CHECK_EQUAL(reef_names_network(names, 4, inner, 20, "narrow"), REEF_OK);
    const uint8_t middle[4] = {10, 16, 0, 0};
    CHECK_EQUAL(reef_names_network(names, 4, middle, 12, "middle"), REEF_OK);
    CHECK_EQUAL(reef_names_network(names, 4, ten, 33, "none"), REEF_INVALID);
    CHECK_TEXT(reef_names_zone_of_address(names, 4, inside), "narrow");
    CHECK_TEXT(reef_names_zone_of_address(names, 4, beside), "middle");
    CHECK_TEXT(reef_names_zone_of_address(names, 4, (const uint8_t[]){10, 15, 0, 1}), "wide");
    CHECK_TEXT(reef_names_zone_of_address(names, 4, outside), "");
    CHECK_TEXT(reef_names_zone_of_address(names, 6, (const uint8_t *)"\x0a\x14\x1f\1\0\0\0\0\0\0\0\0\0\0\0\0"), "");

    reef_rule_name rule = {"R-7", "allow", "lan", "internet", true, false};
    CHECK_EQUAL(reef_names_rule(names, 70000, &rule), REEF_OK);
    CHECK_TEXT(reef_names_rule_by_number(names, 70000)->rule, "R-7");
    CHECK(reef_names_rule_by_number(names, 69999) == NULL);
    CHECK(reef_names_rule_by_number(names, UINT32_MAX) == NULL);
    CHECK_EQUAL(reef_names_rule(names, REEF_RULES_MAX, &rule), REEF_INVALID);

    for (int i = 0; i < 5000; i++) {
        char prefix[32], id[16];
        int n = snprintf(prefix, sizeof prefix, "R-%d deny lan - ", i);
        snprintf(id, sizeof id, "R-%d", i);
        rule.rule = id;
        CHECK(reef_names_rule_by_prefix(names, prefix, (size_t)n) == NULL);
        CHECK_EQUAL(reef_names_prefix(names, prefix, (size_t)n, &rule), REEF_OK);
    }
    CHECK_TEXT(reef_names_rule_by_prefix(names, "R-4321 deny lan - ", 18)->rule, "R-4321");
    CHECK(reef_names_rule_by_prefix(names, "R-4321 deny lan -", 17) == NULL);
    char too_long[REEF_PREFIX_MAX + 1] = {0};
    CHECK_EQUAL(reef_names_prefix(names, too_long, sizeof too_long, &rule), REEF_INVALID);

    for (unsigned i = 0; i < REEF_INTERFACES_MAX; i++)
        reef_names_interface(names, 100 + i, "x", "");
    CHECK_EQUAL(reef_names_interface(names, 1, "one too many", ""), REEF_FULL);
    reef_names_free(names);
    return 0;
}
