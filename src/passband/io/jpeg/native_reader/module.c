/* Python interface of the compiled JPEG reader. */

#include "batch.h"

#define TEXT_OF(name) #name
#define VERSION_OF(name) TEXT_OF(name)

/* --- memory that Python owns and torch uses ------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    void *values;
    Py_ssize_t bytes;
} Memory;

static int memory_buffer(PyObject *self, Py_buffer *view, int flags)
{
    return PyBuffer_FillInfo(view, self, ((Memory *)self)->values, ((Memory *)self)->bytes, 0, flags);
}

static void memory_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    give_memory(((Memory *)self)->values);
    release(self);
    Py_DECREF(type);
}

static PyType_Slot memory_slots[] = {
    {Py_bf_getbuffer, memory_buffer},
    {Py_tp_dealloc, memory_dealloc},
    {Py_tp_doc, (void *)"Bytes that are let go with the last tensor that looks at them."},
    {0, NULL},
};

static PyType_Spec memory_spec = {
    .name = "passband.io.jpeg.native_reader.native.Memory",
    .basicsize = sizeof(Memory),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = memory_slots,
};

typedef struct {
    PyTypeObject *memory;
} state;

/* Takes ownership of the values. They are freed even if this fails. */
static PyObject *memory_of(state *state, void *values, size_t bytes)
{
    Memory *self = (Memory *)PyType_GenericAlloc(state->memory, 0);
    if (self == NULL) {
        give_memory(values);
        return NULL;
    }
    self->values = values;
    self->bytes = (Py_ssize_t)bytes;
    return (PyObject *)self;
}

/* --- results ------------------------------------------------------------------------------------------------------- */

static PyObject *header_of(const picture *picture)
{
    PyObject *sampling;
    int component;
    if (!picture->has_header)
        Py_RETURN_NONE;
    sampling = PyTuple_New(picture->components);
    for (component = 0; sampling != NULL && component < picture->components; component++) {
        const int *factors = picture->sampling[component];
        PyObject *pair = Py_BuildValue("(ii)", factors[0], factors[1]);
        if (pair == NULL || PyTuple_SetItem(sampling, component, pair) < 0)
            Py_CLEAR(sampling);
    }
    if (sampling == NULL)
        return NULL;
    return Py_BuildValue("(iiiiN)", picture->height, picture->width, picture->color_space, picture->orientation,
                         sampling);
}

static PyObject *planes_of(state *state, picture *picture)
{
    PyObject *planes = PyTuple_New(picture->components);
    int component;
    for (component = 0; planes != NULL && component < picture->components; component++) {
        plane *plane = picture->planes + component;
        PyObject *memory, *entry;
        if (plane->bytes == 0) {
            memory = Py_None;
            Py_INCREF(memory);
        } else {
            memory = memory_of(state, plane->values, plane->bytes);
            plane->values = NULL;
        }
        entry = memory == NULL ? NULL : Py_BuildValue("(iiiN)", plane->rows, plane->columns, plane->stride, memory);
        if (entry == NULL || PyTuple_SetItem(planes, component, entry) < 0)
            Py_CLEAR(planes);
    }
    return planes;
}

static PyObject *result_of(state *state, picture *picture, enum task task)
{
    PyObject *header = header_of(picture), *quantization, *planes;
    if (header == NULL)
        return NULL;
    if (picture->failure.outcome != DONE || task == HEADER)
        return Py_BuildValue("(isiNss)", (int)picture->failure.outcome, picture->failure.text,
                             picture->failure.os_error, header, NULL, NULL);
    quantization = PyBytes_FromStringAndSize((const char *)picture->quantization,
                                             picture->components * (Py_ssize_t)sizeof picture->quantization[0]);
    planes = quantization == NULL ? NULL : planes_of(state, picture);
    if (planes == NULL) {
        Py_DECREF(header);
        Py_XDECREF(quantization);
        return NULL;
    }
    return Py_BuildValue("(isiNNN)", (int)DONE, "", 0, header, quantization, planes);
}

static PyObject *run(PyObject *module, batch *batch, int threads, const request *request)
{
    state *state = PyModule_GetState(module);
    PyObject *results;
    Py_ssize_t index;
    if (read_all(batch, threads, request) < 0)
        return NULL;
    results = PyList_New(batch->count);
    for (index = 0; results != NULL && index < batch->count; index++) {
        PyObject *result = result_of(state, batch->pictures + index, request->task);
        if (result == NULL || PyList_SetItem(results, index, result) < 0)
            Py_CLEAR(results);
    }
    return results;
}

/* --- functions ----------------------------------------------------------------------------------------------------- */

static PyObject *read_headers(PyObject *module, PyObject *arguments)
{
    batch batch;
    request request = {.task = HEADER, .strict = 1};
    PyObject *sources, *results = NULL;
    int threads;
    if (!PyArg_ParseTuple(arguments, "O!iK", &PyTuple_Type, &sources, &threads, &request.max_pixels))
        return NULL;
    if (take_sources(&batch, sources) == 0)
        results = run(module, &batch, threads, &request);
    free_batch(&batch);
    return results;
}

static PyObject *read_blocks(PyObject *module, PyObject *arguments)
{
    batch batch;
    request request = {.task = BLOCKS};
    PyObject *sources, *results = NULL;
    int threads;
    if (!PyArg_ParseTuple(arguments, "O!iKp", &PyTuple_Type, &sources, &threads, &request.max_pixels, &request.strict))
        return NULL;
    if (take_sources(&batch, sources) == 0)
        results = run(module, &batch, threads, &request);
    free_batch(&batch);
    return results;
}

static PyObject *read_channels(PyObject *module, PyObject *arguments)
{
    batch batch;
    request request = {.task = CHANNELS};
    PyObject *sources, *channels, *mean, *deviation, *crops, *flips, *results = NULL;
    int threads, total;
    if (!PyArg_ParseTuple(arguments, "O!iKpO!OOO!O!", &PyTuple_Type, &sources, &threads, &request.max_pixels,
                          &request.strict, &PyTuple_Type, &channels, &mean, &deviation, &PyTuple_Type, &crops,
                          &PyTuple_Type, &flips))
        return NULL;
    total = take_channel_lists(&request, channels);
    if (total < 0)
        return NULL;
    request.normalized = mean != Py_None;
    if (request.normalized &&
        (take_floats(mean, total, request.mean) < 0 || take_floats(deviation, total, request.deviation) < 0))
        return NULL;
    if (take_sources(&batch, sources) == 0 && take_crops(&batch, crops, flips) == 0)
        results = run(module, &batch, threads, &request);
    free_batch(&batch);
    return results;
}

static PyObject *write_blocks(PyObject *module, PyObject *arguments)
{
    unwritten picture;
    failure failure = {DONE, 0, ""};
    Py_buffer tables = {0}, blocks[COMPONENTS] = {{0}};
    PyObject *sampling, *sources, *bytes = NULL, *result = NULL;
    unsigned char *data = NULL;
    size_t size = 0;
    Py_ssize_t component;
    (void)module;
    memset(&picture, 0, sizeof picture);
    if (!PyArg_ParseTuple(arguments, "iiiO!y*O!", &picture.height, &picture.width, &picture.color_space,
                          &PyTuple_Type, &sampling, &tables, &PyTuple_Type, &sources))
        return NULL;
    picture.components = (int)PyTuple_Size(sources);
    if ((picture.components != 1 && picture.components != 3) || PyTuple_Size(sampling) != picture.components ||
        tables.len != picture.components * DCTSIZE2 * (Py_ssize_t)sizeof(uint16_t) ||
        (picture.components == 1) != (picture.color_space == JCS_GRAYSCALE)) {
        PyErr_SetString(PyExc_ValueError, "1 or 3 color components are needed, each with factors, table and blocks");
        goto end;
    }
    picture.quantization = tables.buf;
    for (component = 0; component < picture.components; component++) {
        int *factors = picture.sampling[component];
        if (!PyArg_ParseTuple(PyTuple_GetItem(sampling, component), "ii", factors, factors + 1) ||
            PyObject_GetBuffer(PyTuple_GetItem(sources, component), blocks + component, PyBUF_SIMPLE) < 0)
            goto end;
        if (factors[0] < 1 || factors[0] > MAX_SAMP_FACTOR || factors[1] < 1 || factors[1] > MAX_SAMP_FACTOR) {
            PyErr_SetString(PyExc_ValueError, "sampling factors are 1 to 4");
            goto end;
        }
        picture.blocks[component] = blocks[component].buf;
        picture.bytes[component] = (size_t)blocks[component].len;
    }
    Py_BEGIN_ALLOW_THREADS
    write_picture(&picture, &failure, &data, &size);
    Py_END_ALLOW_THREADS
    bytes = PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
    if (bytes != NULL)
        result = Py_BuildValue("(isN)", (int)failure.outcome, failure.text, bytes);
end:
    free(data);
    PyBuffer_Release(&tables);
    for (component = 0; component < COMPONENTS; component++)
        if (blocks[component].obj != NULL)
            PyBuffer_Release(blocks + component);
    return result;
}

static PyMethodDef methods[] = {
    {"read_headers", read_headers, METH_VARARGS, "What the headers of JPEG files say."},
    {"read_blocks", read_blocks, METH_VARARGS, "The quantized blocks of JPEG files."},
    {"read_channels", read_channels, METH_VARARGS, "Chosen channels of JPEG files, dequantized."},
    {"write_blocks", write_blocks, METH_VARARGS, "A JPEG file of quantized blocks."},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    state *state = PyModule_GetState(module);
    state->memory = (PyTypeObject *)PyType_FromSpec(&memory_spec);
    if (state->memory == NULL)
        return -1;
    if (open_pool() < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return PyModule_AddStringConstant(module, "LIBRARY", "libjpeg-turbo " VERSION_OF(LIBJPEG_TURBO_VERSION));
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(((state *)PyModule_GetState(module))->memory);
    return 0;
}

static int clear(PyObject *module)
{
    Py_CLEAR(((state *)PyModule_GetState(module))->memory);
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "native",
    .m_doc = "JPEG coefficients over libjpeg-turbo.",
    .m_size = sizeof(state),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit_native(void)
{
    return PyModuleDef_Init(&definition);
}
