/* What rulewords.c collects into: numbers of Python objects by identity, growing rows of words, numbers as bytes.
 *
 * Everything here answers -1 with a Python error set when there is no memory or a value is of another kind. */
#ifndef REEF_RULEWORDS_TABLES_H
#define REEF_RULEWORDS_TABLES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Numbers by identity: open addressing, never more than half full. */
typedef struct numbers {
    PyObject **key;
    uint32_t *value;
    size_t room; /* a power of two, or 0 */
    uint32_t count;
} numbers;

typedef struct words {
    uint8_t *data;
    size_t used, room;
} words;

static size_t slot(const numbers *table, const PyObject *key)
{
    size_t at = ((uintptr_t)key >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20 & (table->room - 1);
    while (table->key[at] != NULL && table->key[at] != key)
        at = (at + 1) & (table->room - 1);
    return at;
}

static int widen(numbers *table)
{
    numbers wider = {.room = table->room ? table->room * 2 : 256, .count = table->count};
    wider.key = calloc(wider.room, sizeof *wider.key);
    wider.value = malloc(wider.room * sizeof *wider.value);
    if (wider.key == NULL || wider.value == NULL) {
        free(wider.key), free(wider.value);
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < table->room; i++)
        if (table->key[i] != NULL) {
            size_t at = slot(&wider, table->key[i]);
            wider.key[at] = table->key[i];
            wider.value[at] = table->value[i];
        }
    free(table->key), free(table->value);
    *table = wider;
    return 0;
}

/* The number of a key: 0 when it has one, 1 when it was given the next one, -1 with an error. */
static int number(numbers *table, PyObject *key, uint32_t *value)
{
    if ((size_t)table->count * 2 >= table->room && widen(table) < 0)
        return -1;
    size_t at = slot(table, key);
    if (table->key[at] != NULL) {
        *value = table->value[at];
        return 0;
    }
    table->key[at] = key;
    *value = table->value[at] = table->count++;
    return 1;
}

static int put(words *to, const void *data, size_t size)
{
    if (to->used + size > to->room) {
        size_t room = to->room ? to->room * 2 : 4096;
        while (room < to->used + size)
            room *= 2;
        uint8_t *grown = realloc(to->data, room);
        if (grown == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        to->data = grown;
        to->room = room;
    }
    memcpy(to->data + to->used, data, size);
    to->used += size;
    return 0;
}

/* 16 bytes of an address in the order of this machine. */
static int wide(PyObject *value, uint8_t out[16])
{
    if (!PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "an address is an int");
        return -1;
    }
#if PY_VERSION_HEX >= 0x030D0000
    Py_ssize_t size = PyLong_AsNativeBytes(value, out, 16, Py_ASNATIVEBYTES_NATIVE_ENDIAN | Py_ASNATIVEBYTES_UNSIGNED_BUFFER |
                                                               Py_ASNATIVEBYTES_REJECT_NEGATIVE);
    if (size > 16)
        PyErr_SetString(PyExc_OverflowError, "an address has 128 bits at most");
    return size < 0 || size > 16 ? -1 : 0;
#else
    return _PyLong_AsByteArray((PyLongObject *)value, out, 16, PY_LITTLE_ENDIAN, 0);
#endif
}

static int narrow(PyObject *value, uint32_t *out)
{
    unsigned long taken = PyLong_AsUnsignedLong(value);
    if (taken == (unsigned long)-1 && PyErr_Occurred())
        return -1;
    if (taken > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "an IPv4 address has 32 bits");
        return -1;
    }
    *out = (uint32_t)taken;
    return 0;
}

#endif
