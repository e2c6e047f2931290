/* bytes: numbers that stand in buffers (byte_test, byte_jump, byte_extract, byte_math), with the bounds and the meaning of
 * Suricata's detect-byte*.c. */
#include <string.h>

#include "match_internal.h"

bool number_compares(uint64_t value, unsigned compare, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (compare) {
    case REEF_EQ: return value == x;
    case REEF_NE: return value != x;
    case REEF_LT: return value < x;
    case REEF_LE: return value <= x;
    case REEF_GT: return value > x;
    case REEF_GE: return value >= x;
    case REEF_BETWEEN: return value > x && value < y;
    case REEF_BETWEEN_EQ: return value >= x && value <= y;
    case REEF_BIT_AND: return (value & x) != 0;
    case REEF_BIT_OR: return (value ^ x) != 0; /* as Suricata's byte_test takes '^' */
    case REEF_NAND: return (value & x) == 0;
    case REEF_ANY: return true;
    case REEF_OUTSIDE: return value < x || value > y;
    case REEF_MASKED: return (value & y) == x;
    default: return false;
    }
}

static int64_t operand(const inspection *at, const reef_condition *condition, int64_t value, uint32_t flag)
{
    return condition->flags & flag ? (int64_t)at->matcher->variable[value] : value;
}

/* Digits as strtoull reads them, at most `length` of them: how many were read, 0 when there is no number. */
static uint32_t read_digits(const uint8_t *data, uint32_t length, unsigned base, uint64_t *value)
{
    uint32_t i = 0;
    bool minus = false, any = false;
    *value = 0;
    while (i < length && (data[i] == ' ' || (data[i] >= '\t' && data[i] <= '\r')))
        i++;
    if (i < length && (data[i] == '+' || data[i] == '-'))
        minus = data[i++] == '-';
    if (base == 16 && i + 1 < length && data[i] == '0' && (data[i + 1] | 0x20) == 'x')
        i += 2;
    for (; i < length; i++) {
        unsigned digit = data[i] >= '0' && data[i] <= '9' ? data[i] - (unsigned)'0' : (unsigned)(data[i] | 0x20) - 'a' + 10;
        if (digit >= base || (digit > 9 && !((data[i] | 0x20) >= 'a' && (data[i] | 0x20) <= 'f')))
            break;
        if (__builtin_mul_overflow(*value, base, value) || __builtin_add_overflow(*value, digit, value))
            return 0;
        any = true;
    }
    if (minus)
        *value = 0 - *value;
    return any ? i : 0;
}

static uint64_t read_bytes(const uint8_t *data, uint32_t length, bool little)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < length; i++)
        value = value << 8 | data[little ? length - 1 - i : i];
    return value;
}

/* The place a condition reads at; false: outside. */
static bool place_of(const inspection *at, const reef_condition *condition, int64_t offset, int64_t count, int64_t *place)
{
    bool relative = condition->flags & REEF_C_RELATIVE;
    *place = (relative ? at->at : 0) + offset;
    int64_t left = (int64_t)at->bytes.length - *place;
    if (relative && left <= 0 && count > 0)
        return false;
    return *place >= 0 && count >= 0 && count <= left;
}

/* The number there; `read` bytes were taken for it. */
static bool number_at(const inspection *at, const reef_condition *condition, int64_t place, int64_t count, unsigned base, uint64_t *value, uint32_t *read)
{
    const uint8_t *data = at->bytes.data + place;
    *value = 0;
    *read = 0;
    bool open = count == 0 && condition->flags & REEF_C_STRING && condition->op == REEF_OP_BYTE_TEST; /* as many digits as there are */
    if (count == 0 && !open)
        return condition->op == REEF_OP_BYTE_JUMP;
    if (condition->flags & REEF_C_STRING) {
        if (open)
            count = (int64_t)at->bytes.length - place;
        if (count > 23)
            count = 23;
        *read = read_digits(data, (uint32_t)count, base == 0 ? 10 : base, value);
        return *read > 0;
    }
    if (count > 8)
        return false;
    bool little = condition->flags & REEF_C_LITTLE;
    if (condition->flags & REEF_C_DCE)
        little = at->bytes.length > 4 && (at->bytes.data[4] & 0x10) != 0; /* data representation of the DCERPC header */
    *value = read_bytes(data, (uint32_t)count, little);
    *read = (uint32_t)count;
    return true;
}

static uint64_t masked(uint64_t value, int64_t mask)
{
    if (mask == 0)
        return value;
    value &= (uint64_t)mask;
    return value >> __builtin_ctzll((uint64_t)mask);
}

bool bytes_test(inspection *at, const reef_condition *condition)
{
    int64_t count = (int32_t)operand(at, condition, condition->a, REEF_C_A_VARIABLE), place;
    int64_t offset = (int32_t)operand(at, condition, condition->c, REEF_C_C_VARIABLE);
    int64_t wanted = operand(at, condition, condition->b, REEF_C_B_VARIABLE);
    uint64_t value;
    uint32_t read;
    if (!place_of(at, condition, offset, count, &place) || !number_at(at, condition, place, count, condition->base, &value, &read))
        return false;
    value = masked(value, condition->d);
    return number_compares(value, condition->compare, wanted, 0) != !!(condition->flags & REEF_C_NEGATED);
}

bool bytes_jump(inspection *at, const reef_condition *condition)
{
    int64_t count = (int32_t)operand(at, condition, condition->a, REEF_C_A_VARIABLE), place;
    int64_t offset = (int32_t)operand(at, condition, condition->c, REEF_C_C_VARIABLE);
    uint64_t value;
    uint32_t read;
    if (!place_of(at, condition, offset, count, &place) || !number_at(at, condition, place, count, condition->base, &value, &read))
        return false;
    value = masked(value, condition->d);
    if (condition->b > 0)
        value *= (uint64_t)condition->b;
    if (condition->flags & REEF_C_ALIGN)
        value = (value + 3) & ~3ull;
    int64_t jump = (int64_t)value + (int32_t)operand(at, condition, condition->e, REEF_C_E_VARIABLE), to;
    if (condition->flags & REEF_C_FROM_BEGINNING)
        to = jump;
    else if (condition->flags & REEF_C_FROM_END)
        to = (int64_t)at->bytes.length + jump;
    else if (__builtin_add_overflow(place + read, jump, &to))
        return false;
    if (to < 0 || to >= (int64_t)at->bytes.length)
        return false;
    at->at = (uint32_t)to;
    return true;
}

bool bytes_extract(inspection *at, const reef_condition *condition)
{
    int64_t place;
    uint64_t value;
    uint32_t read;
    if (!place_of(at, condition, condition->c, condition->a, &place) || !number_at(at, condition, place, condition->a, condition->base, &value, &read))
        return false;
    if (condition->b > 0)
        value *= (uint64_t)condition->b;
    if (condition->flags & REEF_C_ALIGN && condition->e > 0 && value % (uint64_t)condition->e != 0)
        value += (uint64_t)condition->e - value % (uint64_t)condition->e;
    at->at = (uint32_t)place + read;
    at->matcher->variable[condition->d] = value;
    return true;
}

bool bytes_math(inspection *at, const reef_condition *condition)
{
    int64_t count = (uint8_t)operand(at, condition, condition->a, REEF_C_A_VARIABLE), place;
    int64_t offset = operand(at, condition, condition->c, REEF_C_C_VARIABLE);
    uint64_t right = (uint64_t)operand(at, condition, condition->b, REEF_C_B_VARIABLE), value;
    uint32_t read;
    if (!place_of(at, condition, offset, count, &place) || !number_at(at, condition, place, count, condition->compare, &value, &read))
        return false;
    switch (condition->base) {
    case '+': value += right; break;
    case '-': value -= right; break;
    case '*': value *= right; break;
    case '/':
        if (right == 0)
            return false;
        value /= right;
        break;
    case '<': value = right < 64 ? value << right : 0; break;
    case '>': value = right < 64 ? value >> right : 0; break;
    default: return false;
    }
    value = masked(value, condition->e);
    at->at = (uint32_t)place + read;
    at->matcher->variable[condition->d] = value;
    return true;
}
