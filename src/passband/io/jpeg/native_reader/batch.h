/* The images of one call: Python's arguments, and the threads that read the images. */

#ifndef PASSBAND_JPEG_BATCH_H
#define PASSBAND_JPEG_BATCH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "native.h"

typedef struct {
    Py_ssize_t count;
    picture *pictures;
    Py_buffer *buffers; /* buffers of sources that are bytes; obj is NULL for all others */
    PyObject **paths;   /* objects that own the characters of the paths */
} batch;

/* On failure, all functions except the first return -1 and set a Python error. A batch must be freed in any case. */
void free_batch(batch *batch);
int take_sources(batch *batch, PyObject *sources);
int take_crops(batch *batch, PyObject *crops, PyObject *flips);
int take_channel_lists(request *request, PyObject *channels); /* returns the number of channels */
int take_floats(PyObject *source, int count, float *values);
int read_all(batch *batch, int threads, const request *request);

#endif
