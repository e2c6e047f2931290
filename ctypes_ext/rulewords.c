/* ctypes_ext._rulewords: what rules say, read from the Python objects in one pass, as the words that boxes.c takes.
 *
 * A first proof touches every rule, every set of addresses and every range of a policy. In Python that is some
 * hundred thousand attributes, most of them cold in the cache; here each object is touched once.
 *
 * A packer is a capsule; it numbers lists of addresses and services by identity. Who fills it keeps the objects alive. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "rulewords_tables.h"

#define PACKER "ctypes_ext._rulewords.packer"

enum { PAIR = 1, SOURCE, DESTINATION, SERVICE }; /* columns of a row; column 0 is the rule's number */

typedef struct packer {
    numbers addresses, services;
    words four, six, four_end, six_end;
    uint32_t fours, sixes;
    PyObject *pair_numbers; /* dict: (sources, destinations, side) to number */
    PyObject *service_lists; /* list of tuples of ServiceEntry, by number */
} packer;

/* An attribute. Where a type keeps it in a slot, Python says at which offset: that is asked once for each type. */
typedef struct attribute {
    const char *text;
    PyObject *name;
    PyTypeObject *type; /* the last one that was asked */
    Py_ssize_t offset;  /* 0: it is no slot */
} attribute;

enum {
    SOURCES, DESTINATIONS, SOURCE_SIDE, DESTINATION_SIDE, SERVICES, RANGES, DYNAMIC, VERSION, FIRST, LAST, PEOPLE, WHEN,
    EXPIRES_AT, RATE, CONNECTIONS, PROTOCOL, PORTS, SOURCE_PORTS, ATTRIBUTES,
};

static attribute attributes[ATTRIBUTES] = {
    [SOURCES] = {.text = "sources"}, [DESTINATIONS] = {.text = "destinations"}, [SOURCE_SIDE] = {.text = "source"},
    [DESTINATION_SIDE] = {.text = "destination"}, [SERVICES] = {.text = "services"}, [RANGES] = {.text = "ranges"},
    [DYNAMIC] = {.text = "dynamic"}, [VERSION] = {.text = "version"}, [FIRST] = {.text = "first"},
    [LAST] = {.text = "last"}, [PEOPLE] = {.text = "people"}, [WHEN] = {.text = "when"},
    [EXPIRES_AT] = {.text = "expires_at"}, [RATE] = {.text = "rate"}, [CONNECTIONS] = {.text = "connections"},
    [PROTOCOL] = {.text = "protocol"}, [PORTS] = {.text = "ports"}, [SOURCE_PORTS] = {.text = "source_ports"},
};

static int ask_type(attribute *asked, PyTypeObject *type)
{
    PyObject *found = PyObject_GetAttr((PyObject *)type, asked->name);
    if (found == NULL)
        return -1;
    asked->offset = 0;
    if (Py_IS_TYPE(found, &PyMemberDescr_Type) && ((PyMemberDescrObject *)found)->d_member->type == T_OBJECT_EX)
        asked->offset = ((PyMemberDescrObject *)found)->d_member->offset;
    Py_DECREF(found);
    Py_INCREF(type); /* its address means this type as long as it is remembered */
    Py_XDECREF(asked->type);
    asked->type = type;
    return 0;
}

/* The value of an attribute, a new reference; NULL with an error. */
static PyObject *get(PyObject *object, int which)
{
    attribute *asked = &attributes[which];
    if (Py_TYPE(object) != asked->type && ask_type(asked, Py_TYPE(object)) < 0)
        return NULL;
    if (asked->offset > 0) {
        PyObject *value;
        memcpy(&value, (const char *)object + asked->offset, sizeof value);
        if (value != NULL)
            return Py_NewRef(value);
    }
    return PyObject_GetAttr(object, asked->name);
}

static int put_range(packer *packer, PyObject *range)
{
    PyObject *version = get(range, VERSION), *first = get(range, FIRST);
    PyObject *last = get(range, LAST);
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

static int side_of(packer *packer, PyObject *rule, int name, uint32_t *value)
{
    PyObject *where = get(rule, name);
    PyObject *ranges = where == NULL ? NULL : get(where, RANGES);
    int status = ranges == NULL ? -1 : address(packer, ranges, value);
    Py_XDECREF(where), Py_XDECREF(ranges); /* the rule holds them */
    return status;
}

static int plain_row(packer *packer, PyObject *rule, PyObject *side, uint32_t *row)
{
    PyObject *sources = get(rule, SOURCES), *destinations = get(rule, DESTINATIONS);
    PyObject *services = get(rule, SERVICES);
    int status = -1;
    if (sources != NULL && destinations != NULL && services != NULL &&
        pair(packer, sources, destinations, side, &row[PAIR]) == 0 &&
        side_of(packer, rule, SOURCE_SIDE, &row[SOURCE]) == 0 &&
        side_of(packer, rule, DESTINATION_SIDE, &row[DESTINATION]) == 0)
        status = service(packer, services, &row[SERVICE]);
    Py_XDECREF(sources), Py_XDECREF(destinations), Py_XDECREF(services);
    return status;
}

/* --- services ---------------------------------------------------------------------------------------- */

enum { TCP = 6, UDP = 17, MOST_ENTRIES = 32, EVERY_PROTOCOL = 256 };

/* Two numbers of a tuple. */
static int interval(PyObject *pair, int32_t *first, int32_t *last)
{
    if (pair == NULL || !PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "an interval is a tuple of two");
        return -1;
    }
    *first = (int32_t)PyLong_AsLong(PyTuple_GET_ITEM(pair, 0));
    *last = (int32_t)PyLong_AsLong(PyTuple_GET_ITEM(pair, 1));
    return PyErr_Occurred() ? -1 : 0;
}

/* The protocol of an entry and its ports on the axis of services. */
static int entry_ports(PyObject *entry, long *protocol, int32_t *low, int32_t *high)
{
    PyObject *said = get(entry, PROTOCOL), *ports = said == NULL ? NULL : get(entry, PORTS);
    int status = interval(ports, low, high);
    if (status == 0 && said != Py_None) {
        *protocol = PyLong_AsLong(said);
        *low += (int32_t)(*protocol << 16), *high += (int32_t)(*protocol << 16);
        status = PyErr_Occurred() ? -1 : 0;
    } else if (status == 0) {
        *protocol = EVERY_PROTOCOL;
        *low = 0, *high = (EVERY_PROTOCOL << 16) - 1;
    }
    Py_XDECREF(said), Py_XDECREF(ports);
    return status;
}

/* Disjoint boxes (service, source ports) of entries that are all TCP or UDP from any port: their number, 0 when they
 * are of another kind, -1 with an error. */
static int port_boxes(PyObject *entries, int32_t box[MOST_ENTRIES][4])
{
    const Py_ssize_t count = PyTuple_GET_SIZE(entries);
    int made = 0, kept = 0;
    if (count == 0 || count > MOST_ENTRIES)
        return 0;
    for (; made < count; made++) {
        PyObject *entry = PyTuple_GET_ITEM(entries, made);
        long protocol;
        int32_t low, high, first, last;
        if (entry_ports(entry, &protocol, &low, &high) < 0)
            return -1;
        PyObject *from = get(entry, SOURCE_PORTS);
        int status = interval(from, &first, &last);
        Py_XDECREF(from);
        if (status < 0)
            return -1;
        if ((protocol != TCP && protocol != UDP) || first != 0 || last != UINT16_MAX)
            return 0;
        int at = made;
        for (; at > 0 && box[at - 1][0] > low; at--)
            memcpy(box[at], box[at - 1], sizeof *box);
        memcpy(box[at], (const int32_t[4]){low, high, 0, UINT16_MAX}, sizeof *box);
    }
    for (int i = 1; i < made; i++) {
        if (box[i][0] <= box[kept][1] + 1)
            box[kept][1] = box[i][1] > box[kept][1] ? box[i][1] : box[kept][1];
        else
            memcpy(box[++kept], box[i], sizeof *box);
    }
    return kept + 1;
}

/* The boxes that Python makes of entries, for one version. */
static int put_list(words *to, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        int32_t value = (int32_t)PyLong_AsLong(PyList_GET_ITEM(list, i));
        if (PyErr_Occurred() || put(to, &value, sizeof value) < 0)
            return -1;
    }
    return 0;
}

static int put_end(words *to, const words *boxes)
{
    const uint32_t end = (uint32_t)(boxes->used / (4 * sizeof(int32_t)));
    return put(to, &end, sizeof end);
}

static int put_service(PyObject *entries, PyObject *others, words *boxes, words *four_end, words *six_end)
{
    int32_t box[MOST_ENTRIES][4];
    if (!PyTuple_Check(entries)) {
        PyErr_SetString(PyExc_TypeError, "services are a tuple");
        return -1;
    }
    int count = port_boxes(entries, box);
    if (count < 0)
        return -1;
    if (count > 0) {
        if (put(boxes, box, (size_t)count * sizeof *box) < 0 || put_end(four_end, boxes) < 0 ||
            put(boxes, box, (size_t)count * sizeof *box) < 0)
            return -1;
        return put_end(six_end, boxes);
    }
    PyObject *made = PyObject_CallOneArg(others, entries), *four, *six;
    if (made == NULL)
        return -1;
    int status = -1;
    if (PyArg_ParseTuple(made, "O!O!", &PyList_Type, &four, &PyList_Type, &six) && put_list(boxes, four) == 0 &&
        put_end(four_end, boxes) == 0 && put_list(boxes, six) == 0)
        status = put_end(six_end, boxes);
    Py_DECREF(made);
    return status;
}

/* Has any of the entries something of sorted intervals (low, high) on the axis of services? */
static int meets(PyObject *services, const int32_t *wanted, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; count > 0 && i < PyTuple_GET_SIZE(services); i++) {
        long protocol;
        int32_t low, high;
        if (entry_ports(PyTuple_GET_ITEM(services, i), &protocol, &low, &high) < 0)
            return -1;
        for (Py_ssize_t at = 0; at < count && wanted[2 * at] <= high; at++)
            if (low <= wanted[2 * at + 1])
                return 1;
    }
    return 0;
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

/* services(lists, others): boxes of lists of entries, for IPv4 and IPv6, and where each ends. `others` is called with
 * those that have more to say than ports. */
static PyObject *services(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *lists, *others, *made = NULL;
    words boxes = {0}, four_end = {0}, six_end = {0};
    if (!PyArg_ParseTuple(args, "O!O", &PyList_Type, &lists, &others))
        return NULL;
    int status = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(lists) && status == 0; i++)
        status = put_service(PyList_GET_ITEM(lists, i), others, &boxes, &four_end, &six_end);
    if (status == 0)
        made = Py_BuildValue("y#y#y#", boxes.data ? (const char *)boxes.data : "", (Py_ssize_t)boxes.used,
                             four_end.data ? (const char *)four_end.data : "", (Py_ssize_t)four_end.used,
                             six_end.data ? (const char *)six_end.data : "", (Py_ssize_t)six_end.used);
    free(boxes.data), free(four_end.data), free(six_end.data);
    return made;
}

/* What meets rules of a zone pair: the bytes that `ask` gives for it, asked once. Borrowed. */
static PyObject *wanted_of(PyObject *known, PyObject *ask, PyObject *rule)
{
    PyObject *sources = get(rule, SOURCES), *destinations = sources == NULL ? NULL : get(rule, DESTINATIONS);
    PyObject *key = destinations == NULL ? NULL : PyTuple_Pack(2, sources, destinations);
    PyObject *found = key == NULL ? NULL : PyDict_GetItemWithError(known, key);
    if (found == NULL && key != NULL && !PyErr_Occurred()) {
        PyObject *fresh = PyObject_CallFunctionObjArgs(ask, sources, destinations, NULL);
        if (fresh != NULL && !PyBytes_Check(fresh))
            PyErr_SetString(PyExc_TypeError, "intervals are bytes");
        else if (fresh != NULL && PyDict_SetItem(known, key, fresh) == 0)
            found = fresh; /* the dict holds it */
        Py_XDECREF(fresh);
    }
    Py_XDECREF(key), Py_XDECREF(sources), Py_XDECREF(destinations);
    return found;
}

/* meeting(rules, known, ask): the rules whose services have something of what ask(sources, destinations) says: sorted
 * intervals (low, high) of 32 bits on the axis of services. `known` keeps the answers. */
static PyObject *meeting(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *rules, *known, *ask;
    if (!PyArg_ParseTuple(args, "O!O!O", &PyList_Type, &rules, &PyDict_Type, &known, &ask))
        return NULL;
    PyObject *found = PyList_New(0);
    for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(rules); i++) {
        PyObject *rule = PyList_GET_ITEM(rules, i), *wanted = wanted_of(known, ask, rule);
        PyObject *entries = wanted == NULL ? NULL : get(rule, SERVICES);
        int answer = -1;
        if (entries != NULL && PyTuple_Check(entries))
            answer = meets(entries, (const int32_t *)(const void *)PyBytes_AS_STRING(wanted), PyBytes_GET_SIZE(wanted) / 8);
        else if (entries != NULL)
            PyErr_SetString(PyExc_TypeError, "services are a tuple");
        Py_XDECREF(entries);
        if (answer < 0 || (answer > 0 && PyList_Append(found, rule) < 0))
            Py_CLEAR(found);
    }
    return found;
}

/* Is an attribute of an object true? -1 with an error. */
static int says(PyObject *object, int name)
{
    PyObject *value = get(object, name);
    int answer = value == NULL ? -1 : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return answer;
}

static int says_dynamic(PyObject *rule, int side)
{
    PyObject *where = get(rule, side);
    int answer = where == NULL ? -1 : says(where, DYNAMIC);
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
    static const int names[] = {PEOPLE, WHEN, EXPIRES_AT, RATE, CONNECTIONS};
    PyObject *found = PyList_New(0);
    for (Py_ssize_t i = 0; found != NULL && i < PySequence_Fast_GET_SIZE(rules); i++) {
        PyObject *rule = PySequence_Fast_GET_ITEM(rules, i);
        int answer = 0;
        for (size_t name = 0; name < sizeof names / sizeof *names && answer == 0; name++)
            answer = says(rule, names[name]);
        if (answer == 0)
            answer = says_dynamic(rule, SOURCE_SIDE);
        if (answer == 0)
            answer = says_dynamic(rule, DESTINATION_SIDE);
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
    {"services", services, METH_VARARGS, "services(lists, others): (boxes, ends for IPv4, ends for IPv6)"},
    {"meeting", meeting, METH_VARARGS, "meeting(rules, known, ask): rules that share a service with what is asked for"},
    {"conditional", conditional, METH_O, "conditional(rules): the places of rules with conditions"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "ctypes_ext._rulewords", .m_size = -1, .m_methods = functions,
};

PyMODINIT_FUNC PyInit__rulewords(void)
{
    for (size_t i = 0; i < ATTRIBUTES; i++)
        if ((attributes[i].name = PyUnicode_InternFromString(attributes[i].text)) == NULL)
            return NULL;
    return PyModule_Create(&module);
}
