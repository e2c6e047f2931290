/* ctypes_ext._rulewords: what rules say, read from the Python objects in one pass, as the words that boxes.c takes.
 *
 * A first proof touches every rule, every set of addresses and every range of a policy. In Python that is some
 * hundred thousand attributes, most of them cold in the cache; here each object is touched once. Values are read by
 * name, so that nothing here depends on how the objects lie in memory.
 *
 * A packer is a capsule; it numbers lists of addresses and services by identity. Who fills it keeps the objects alive. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PACKER "ctypes_ext._rulewords.packer"

enum { PAIR = 1, SOURCE, DESTINATION, SERVICE }; /* columns of a row; column 0 is the rule's number */

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

typedef struct packer {
    numbers addresses, services;
    words four, six, four_end, six_end;
    uint32_t fours, sixes;
    PyObject *pair_numbers; /* dict: (sources, destinations, side) to number */
    PyObject *service_lists; /* list of tuples of ServiceEntry, by number */
} packer;

/* Names of attributes, made once. */
static PyObject *n_sources, *n_destinations, *n_source, *n_destination, *n_services, *n_ranges, *n_dynamic, *n_version,
    *n_first, *n_last, *n_people, *n_when, *n_expires_at, *n_rate, *n_connections;

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

static int put_range(packer *packer, PyObject *range)
{
    PyObject *version = PyObject_GetAttr(range, n_version), *first = PyObject_GetAttr(range, n_first);
    PyObject *last = PyObject_GetAttr(range, n_last);
    int status = -1;
    if (version != NULL && first != NULL && last != NULL) {
        uint32_t four[2];
        uint8_t six[32];
        if (PyLong_AsLong(version) != 6) {
            if (!PyErr_Occurred() && narrow(first, &four[0]) == 0 && narrow(last, &four[1]) == 0)
                status = put(&packer->four, four, sizeof four);
            packer->fours++;
        } else {
            if (wide(first, six) == 0 && wide(last, six + 16) == 0)
                status = put(&packer->six, six, sizeof six);
            packer->sixes++;
        }
    }
    Py_XDECREF(version), Py_XDECREF(first), Py_XDECREF(last);
    return status;
}

/* The number of a tuple of ranges; a new one is packed. */
static int address(packer *packer, PyObject *ranges, uint32_t *value)
{
    int fresh = number(&packer->addresses, ranges, value);
    if (fresh <= 0)
        return fresh;
    if (!PyTuple_Check(ranges)) {
        PyErr_SetString(PyExc_TypeError, "ranges are a tuple");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(ranges); i++)
        if (put_range(packer, PyTuple_GET_ITEM(ranges, i)) < 0)
            return -1;
    if (put(&packer->four_end, &packer->fours, 4) < 0)
        return -1;
    return put(&packer->six_end, &packer->sixes, 4);
}

static int service(packer *packer, PyObject *entries, uint32_t *value)
{
    int fresh = number(&packer->services, entries, value);
    return fresh <= 0 ? fresh : PyList_Append(packer->service_lists, entries);
}

static int pair(packer *packer, PyObject *sources, PyObject *destinations, PyObject *side, uint32_t *value)
{
    PyObject *key = PyTuple_Pack(3, sources, destinations, side);
    if (key == NULL)
        return -1;
    PyObject *known = PyDict_GetItemWithError(packer->pair_numbers, key);
    int status = -1;
    if (known != NULL) {
        *value = (uint32_t)PyLong_AsUnsignedLong(known);
        status = PyErr_Occurred() ? -1 : 0;
    } else if (!PyErr_Occurred()) {
        *value = (uint32_t)PyDict_GET_SIZE(packer->pair_numbers);
        PyObject *next = PyLong_FromUnsignedLong(*value);
        status = next == NULL ? -1 : PyDict_SetItem(packer->pair_numbers, key, next);
        Py_XDECREF(next);
    }
    Py_DECREF(key);
    return status;
}

static int side_of(packer *packer, PyObject *rule, PyObject *name, uint32_t *value)
{
    PyObject *where = PyObject_GetAttr(rule, name);
    PyObject *ranges = where == NULL ? NULL : PyObject_GetAttr(where, n_ranges);
    int status = ranges == NULL ? -1 : address(packer, ranges, value);
    Py_XDECREF(where), Py_XDECREF(ranges); /* the rule holds them */
    return status;
}

static int plain_row(packer *packer, PyObject *rule, PyObject *side, uint32_t *row)
{
    PyObject *sources = PyObject_GetAttr(rule, n_sources), *destinations = PyObject_GetAttr(rule, n_destinations);
    PyObject *services = PyObject_GetAttr(rule, n_services);
    int status = -1;
    if (sources != NULL && destinations != NULL && services != NULL &&
        pair(packer, sources, destinations, side, &row[PAIR]) == 0 &&
        side_of(packer, rule, n_source, &row[SOURCE]) == 0 &&
        side_of(packer, rule, n_destination, &row[DESTINATION]) == 0)
        status = service(packer, services, &row[SERVICE]);
    Py_XDECREF(sources), Py_XDECREF(destinations), Py_XDECREF(services);
    return status;
}

/* --- what Python calls ----------------------------------------------------------------------------- */

static packer *packer_of(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, PACKER);
}

static void drop(PyObject *capsule)
{
    packer *packer = packer_of(capsule);
    free(packer->addresses.key), free(packer->addresses.value);
    free(packer->services.key), free(packer->services.value);
    free(packer->four.data), free(packer->six.data), free(packer->four_end.data), free(packer->six_end.data);
    Py_DECREF(packer->pair_numbers), Py_DECREF(packer->service_lists);
    free(packer);
}

static PyObject *new_packer(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *pairs, *services;
    if (!PyArg_ParseTuple(args, "O!O!", &PyDict_Type, &pairs, &PyList_Type, &services))
        return NULL;
    packer *made = calloc(1, sizeof *made);
    if (made == NULL)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(made, PACKER, drop);
    if (capsule == NULL) {
        free(made);
        return NULL;
    }
    made->pair_numbers = Py_NewRef(pairs);
    made->service_lists = Py_NewRef(services);
    return capsule;
}

static PyObject *number_address(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *capsule, *ranges;
    uint32_t value;
    if (!PyArg_ParseTuple(args, "OO", &capsule, &ranges))
        return NULL;
    packer *packer = packer_of(capsule);
    return packer == NULL || address(packer, ranges, &value) < 0 ? NULL : PyLong_FromUnsignedLong(value);
}

static PyObject *number_service(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *capsule, *entries;
    uint32_t value;
    if (!PyArg_ParseTuple(args, "OO", &capsule, &entries))
        return NULL;
    packer *packer = packer_of(capsule);
    return packer == NULL || service(packer, entries, &value) < 0 ? NULL : PyLong_FromUnsignedLong(value);
}

/* rows(packer, rules, side, template): the template with columns 1 to 4 filled in, once for each rule. */
static PyObject *rows(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *capsule, *rules, *side;
    Py_buffer template;
    if (!PyArg_ParseTuple(args, "OO!Oy*", &capsule, &PyList_Type, &rules, &side, &template))
        return NULL;
    packer *packer = packer_of(capsule);
    const Py_ssize_t count = PyList_GET_SIZE(rules), size = template.len;
    PyObject *made = NULL;
    if (packer != NULL && size < 5 * (Py_ssize_t)sizeof(uint32_t))
        PyErr_SetString(PyExc_ValueError, "a row has more columns");
    else if (packer != NULL)
        made = PyBytes_FromStringAndSize(NULL, count * size);
    char *to = made == NULL ? NULL : PyBytes_AS_STRING(made);
    for (Py_ssize_t i = 0; i < count && made != NULL; i++, to += size) {
        uint32_t row[5] = {0};
        memcpy(to, template.buf, (size_t)size);
        if (plain_row(packer, PyList_GET_ITEM(rules, i), side, row) < 0)
            Py_CLEAR(made);
        else
            memcpy(to + sizeof *row, row + 1, 4 * sizeof *row);
    }
    PyBuffer_Release(&template);
    return made;
}

/* addresses(packer): IPv4 bounds, IPv6 bounds, and where each list ends in both. */
static PyObject *addresses(PyObject *self, PyObject *capsule)
{
    (void)self;
    const packer *packer = packer_of(capsule);
    if (packer == NULL)
        return NULL;
    return Py_BuildValue("y#y#y#y#", packer->four.data ? (const char *)packer->four.data : "", (Py_ssize_t)packer->four.used,
                         packer->six.data ? (const char *)packer->six.data : "", (Py_ssize_t)packer->six.used,
                         packer->four_end.data ? (const char *)packer->four_end.data : "", (Py_ssize_t)packer->four_end.used,
                         packer->six_end.data ? (const char *)packer->six_end.data : "", (Py_ssize_t)packer->six_end.used);
}

/* Is an attribute of an object true? -1 with an error. */
static int says(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    int answer = value == NULL ? -1 : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return answer;
}

static int says_dynamic(PyObject *rule, PyObject *side)
{
    PyObject *where = PyObject_GetAttr(rule, side);
    int answer = where == NULL ? -1 : says(where, n_dynamic);
    Py_XDECREF(where);
    return answer;
}

/* conditional(rules): the places of those that say anything but zones, addresses and services. */
static PyObject *conditional(PyObject *self, PyObject *rules)
{
    (void)self;
    if (!PyList_Check(rules) && !PyTuple_Check(rules)) {
        PyErr_SetString(PyExc_TypeError, "rules are a list or a tuple");
        return NULL;
    }
    PyObject *const names[] = {n_people, n_when, n_expires_at, n_rate, n_connections};
    PyObject *found = PyList_New(0);
    for (Py_ssize_t i = 0; found != NULL && i < PySequence_Fast_GET_SIZE(rules); i++) {
        PyObject *rule = PySequence_Fast_GET_ITEM(rules, i);
        int answer = 0;
        for (size_t name = 0; name < sizeof names / sizeof *names && answer == 0; name++)
            answer = says(rule, names[name]);
        if (answer == 0)
            answer = says_dynamic(rule, n_source);
        if (answer == 0)
            answer = says_dynamic(rule, n_destination);
        if (answer == 0)
            continue;
        PyObject *place = answer < 0 ? NULL : PyLong_FromSsize_t(i);
        if (place == NULL || PyList_Append(found, place) < 0)
            Py_CLEAR(found);
        Py_XDECREF(place);
    }
    return found;
}

static PyMethodDef functions[] = {
    {"packer", new_packer, METH_VARARGS, "packer(pair_numbers, service_lists): an empty one, which fills these two"},
    {"address", number_address, METH_VARARGS, "address(packer, ranges): the number of a list of addresses"},
    {"service", number_service, METH_VARARGS, "service(packer, entries): the number of a list of services"},
    {"rows", rows, METH_VARARGS, "rows(packer, rules, side, template): the rows of rules without conditions"},
    {"addresses", addresses, METH_O, "addresses(packer): (IPv4 bounds, IPv6 bounds, ends of lists in both)"},
    {"conditional", conditional, METH_O, "conditional(rules): the places of rules with conditions"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "ctypes_ext._rulewords", .m_size = -1, .m_methods = functions,
};

PyMODINIT_FUNC PyInit__rulewords(void)
{
    const struct {
        PyObject **name;
        const char *text;
    } names[] = {
        {&n_sources, "sources"}, {&n_destinations, "destinations"}, {&n_source, "source"},
        {&n_destination, "destination"}, {&n_services, "services"}, {&n_ranges, "ranges"},
        {&n_dynamic, "dynamic"}, {&n_version, "version"}, {&n_first, "first"}, {&n_last, "last"},
        {&n_people, "people"}, {&n_when, "when"}, {&n_expires_at, "expires_at"}, {&n_rate, "rate"},
        {&n_connections, "connections"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].name = PyUnicode_InternFromString(names[i].text)) == NULL)
            return NULL;
    return PyModule_Create(&module);
}
