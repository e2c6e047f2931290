/* The least a test needs: a statement that must hold, and where it did not. */
#ifndef REEF_TEST_CHECK_H
#define REEF_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                        \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);      \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

#define CHECK_EQUAL(a, b)                                                                       \
    do {                                                                                        \
        long long check_a = (long long)(a), check_b = (long long)(b);                           \
        if (check_a != check_b) {                                                               \
            fprintf(stderr, "%s:%d: %s is %lld, should be %lld\n", __FILE__, __LINE__, #a,      \
                    check_a, check_b);                                                          \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

#define CHECK_TEXT(a, b)                                                                        \
    do {                                                                                        \
        const char *check_a = (a), *check_b = (b);                                              \
        if (strcmp(check_a, check_b) != 0) {                                                    \
            fprintf(stderr, "%s:%d: %s is \"%s\", should be \"%s\"\n", __FILE__, __LINE__, #a,  \
                    check_a, check_b);                                                          \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

#endif
