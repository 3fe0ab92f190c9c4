/* Converts Python arguments to images, and runs the threads that read them. */

#include "batch.h"

void free_batch(batch *batch)
{
    Py_ssize_t index;
    for (index = 0; index < batch->count; index++) {
        if (batch->pictures != NULL)
            free_planes(batch->pictures + index);
        if (batch->buffers != NULL && batch->buffers[index].obj != NULL)
            PyBuffer_Release(batch->buffers + index);
#ifdef _WIN32
        if (batch->pictures != NULL)
            PyMem_Free((void *)batch->pictures[index].path);
#endif
        if (batch->paths != NULL)
            Py_XDECREF(batch->paths[index]);
    }
    PyMem_Free(batch->pictures);
    PyMem_Free(batch->buffers);
    PyMem_Free(batch->paths);
}

static int take_source(batch *batch, Py_ssize_t index, PyObject *source)
{
    picture *picture = batch->pictures + index;
    if (PyUnicode_Check(source)) {
#ifdef _WIN32
        picture->path = PyUnicode_AsWideCharString(source, NULL);
        return picture->path == NULL ? -1 : 0;
#else
        char *path = NULL;
        Py_ssize_t length;
        batch->paths[index] = PyUnicode_EncodeFSDefault(source);
        if (batch->paths[index] == NULL || PyBytes_AsStringAndSize(batch->paths[index], &path, &length) < 0)
            return -1;
        if (strlen(path) != (size_t)length) {
            PyErr_SetString(PyExc_ValueError, "a path holds no null character");
            return -1;
        }
        picture->path = path;
        return 0;
#endif
    }
    if (PyObject_GetBuffer(source, batch->buffers + index, PyBUF_SIMPLE) < 0)
        return -1;
    /* an empty buffer may have no address; then data would be NULL and the path would be read */
    picture->data = batch->buffers[index].len ? batch->buffers[index].buf : (const void *)"";
    picture->size = (size_t)batch->buffers[index].len;
    return 0;
}

int take_sources(batch *batch, PyObject *sources)
{
    Py_ssize_t index, count = PyTuple_Size(sources);
    size_t each = count > 0 ? (size_t)count : 1;
    memset(batch, 0, sizeof *batch);
    if (count < 0)
        return -1;
    batch->pictures = PyMem_Calloc(each, sizeof(picture));
    batch->buffers = PyMem_Calloc(each, sizeof(Py_buffer));
    batch->paths = PyMem_Calloc(each, sizeof(PyObject *));
    if (batch->pictures == NULL || batch->buffers == NULL || batch->paths == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    batch->count = count;
    for (index = 0; index < count; index++)
        if (take_source(batch, index, PyTuple_GetItem(sources, index)) < 0)
            return -1;
    return 0;
}

int take_channel_lists(request *request, PyObject *channels)
{
    Py_ssize_t component, k;
    int total = 0;
    if (PyTuple_Size(channels) != COMPONENTS)
        goto wrong;
    for (component = 0; component < COMPONENTS; component++) {
        PyObject *list = PyTuple_GetItem(channels, component);
        Py_ssize_t count = list == NULL ? -1 : PyTuple_Size(list);
        if (count < 0 || count > DCTSIZE2)
            goto wrong;
        for (k = 0; k < count; k++) {
            long channel = PyLong_AsLong(PyTuple_GetItem(list, k));
            if (channel < 0 || channel >= DCTSIZE2)
                goto wrong;
            request->channels[total++] = (int)channel;
        }
        request->counts[component] = (int)count;
    }
    return total;
wrong:
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "channels are three tuples of at most 64 numbers from 0 to 63");
    return -1;
}

int take_floats(PyObject *source, int count, float *values)
{
    Py_buffer view;
    int fits;
    if (PyObject_GetBuffer(source, &view, PyBUF_SIMPLE) < 0)
        return -1;
    fits = view.len == (Py_ssize_t)(count * sizeof(float));
    if (fits && count > 0)
        memcpy(values, view.buf, view.len);
    PyBuffer_Release(&view);
    if (!fits)
        PyErr_Format(PyExc_ValueError, "mean and std hold one float32 for each of the %d channels", count);
    return fits ? 0 : -1;
}

int take_crops(batch *batch, PyObject *crops, PyObject *flips)
{
    Py_ssize_t index;
    if (PyTuple_Size(crops) != batch->count || PyTuple_Size(flips) != batch->count) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "crops and flips are as many as sources");
        return -1;
    }
    for (index = 0; index < batch->count; index++) {
        picture *picture = batch->pictures + index;
        long long *crop = picture->crop;
        PyObject *given = PyTuple_GetItem(crops, index);
        picture->flipped = PyObject_IsTrue(PyTuple_GetItem(flips, index));
        if (picture->flipped < 0)
            return -1;
        picture->cropped = given != Py_None;
        if (picture->cropped && !PyArg_ParseTuple(given, "LLLL", crop, crop + 1, crop + 2, crop + 3))
            return -1;
    }
    return 0;
}

typedef struct {
    picture *pictures;
    Py_ssize_t count, next;
    const request *request;
    PyThread_type_lock turn;
} queue;

typedef struct {
    queue *queue;
    PyThread_type_lock done;
} worker;

static void work(queue *queue)
{
    for (;;) {
        Py_ssize_t mine;
        PyThread_acquire_lock(queue->turn, WAIT_LOCK);
        mine = queue->next < queue->count ? queue->next++ : -1;
        PyThread_release_lock(queue->turn);
        if (mine < 0)
            return;
        read_picture(queue->pictures + mine, queue->request);
    }
}

static void work_aside(void *argument)
{
    worker *worker = argument;
    work(worker->queue);
    PyThread_release_lock(worker->done);
}

/* Reads all images. The threads use no Python objects, so other Python code can run in the meantime. If a thread
 * cannot be started, the others do its work. */
int read_all(batch *batch, int threads, const request *request)
{
    queue queue = {batch->pictures, batch->count, 0, request, PyThread_allocate_lock()};
    Py_ssize_t helpers = (threads < batch->count ? threads : batch->count) - 1, started = 0;
    worker *workers = PyMem_Calloc(helpers > 0 ? (size_t)helpers : 1, sizeof(worker));
    if (queue.turn == NULL || workers == NULL) {
        if (queue.turn != NULL)
            PyThread_free_lock(queue.turn);
        PyMem_Free(workers);
        PyErr_NoMemory();
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    for (; started < helpers; started++) {
        worker *worker = workers + started;
        worker->queue = &queue;
        worker->done = PyThread_allocate_lock();
        if (worker->done == NULL)
            break;
        PyThread_acquire_lock(worker->done, WAIT_LOCK);
        if (PyThread_start_new_thread(work_aside, worker) == (unsigned long)-1) {
            PyThread_release_lock(worker->done);
            PyThread_free_lock(worker->done);
            break;
        }
    }
    work(&queue);
    while (started > 0) {
        worker *worker = workers + --started;
        PyThread_acquire_lock(worker->done, WAIT_LOCK);
        PyThread_release_lock(worker->done);
        PyThread_free_lock(worker->done);
    }
    Py_END_ALLOW_THREADS
    PyThread_free_lock(queue.turn);
    PyMem_Free(workers);
    return 0;
}
