/* The pictures of one call: what Python gave, and the threads that read them. */

#ifndef PASSBAND_JPEG_BATCH_H
#define PASSBAND_JPEG_BATCH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "native.h"

typedef struct {
    Py_ssize_t count;
    picture *pictures;
    Py_buffer *buffers; /* of sources that are bytes; obj is NULL for the others */
    PyObject **paths;   /* what the paths' characters belong to */
} batch;

/* All of these but the first return -1 with a Python error set. A batch is freed whether it was taken or not. */
void free_batch(batch *batch);
int take_sources(batch *batch, PyObject *sources);
int take_crops(batch *batch, PyObject *crops, PyObject *flips);
int take_channel_lists(request *request, PyObject *channels); /* how many channels there are */
int take_floats(PyObject *source, int count, float *values);
int read_all(batch *batch, int threads, const request *request);

#endif
