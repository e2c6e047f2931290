/* Every status has words of its own. */
#include "check.h"
#include "reef/status.h"

int main(void)
{
    for (int a = REEF_OK; a <= REEF_UNKNOWN_PREFIX; a++) {
        CHECK(strlen(reef_status_text(a)) > 0);
        CHECK(strcmp(reef_status_text(a), "unknown status") != 0);
        for (int b = REEF_OK; b < a; b++)
            CHECK(strcmp(reef_status_text(a), reef_status_text(b)) != 0);
    }
    CHECK_TEXT(reef_status_text(9999), "unknown status");
    return 0;
}
