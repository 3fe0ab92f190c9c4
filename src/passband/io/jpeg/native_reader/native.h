/* Declarations for all parts of the compiled JPEG reader. They do not depend on Python; batch.h does. */

#ifndef PASSBAND_JPEG_NATIVE_H
#define PASSBAND_JPEG_NATIVE_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h needs this file before itself */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#ifndef LIBJPEG_TURBO_VERSION_NUMBER
#error "libjpeg-turbo 1.5 or newer is needed: its jpeglib.h defines LIBJPEG_TURBO_VERSION_NUMBER"
#endif

#ifdef _WIN32
typedef wchar_t path_char;
#else
typedef char path_char;
#endif

#define COMPONENTS 3

/* Outcome of reading an image, with the same names and numbers as Outcome in passband.io.jpeg.info. */
enum outcome {
    DONE,
    EMPTY,
    NOT_JPEG,
    DAMAGED,
    RECOVERABLE, /* damaged, but could be read in part */
    UNSUPPORTED,
    TOO_LARGE,
    BAD_CROP,
    NO_FILE,
    NO_MEMORY
};

enum task { HEADER, BLOCKS, CHANNELS };

typedef struct {
    enum outcome outcome;
    int os_error; /* errno of the operating system, for NO_FILE */
    char text[JMSG_LENGTH_MAX];
} failure;

typedef struct {
    int rows, columns; /* in blocks */
    int top, left;     /* origin of the crop, in blocks of the stored component */
    int stride;        /* number of blocks from one row to the next */
    void *values;      /* int16 (rows or more) x stride x 64, or float32 channels x rows x columns, from take_memory */
    size_t bytes;
} plane;

typedef struct {
    /* input */
    const path_char *path; /* file to read if data is NULL */
    const unsigned char *data;
    size_t size;
    int cropped, flipped;
    long long crop[4]; /* top, left, height, width in MCUs */
    /* output */
    failure failure;
    int has_header;
    int height, width, components, color_space, orientation;
    int sampling[COMPONENTS][2]; /* horizontal, vertical */
    uint16_t quantization[COMPONENTS][DCTSIZE2];
    plane planes[COMPONENTS];
} picture;

/* Options for all images of a call. */
typedef struct {
    enum task task;
    int strict; /* whether damaged data is an error; otherwise it becomes gray */
    unsigned long long max_pixels;
    int counts[COMPONENTS];                /* number of channels of each component */
    int channels[COMPONENTS * DCTSIZE2];   /* raster indices, one component after the other */
    float mean[COMPONENTS * DCTSIZE2], deviation[COMPONENTS * DCTSIZE2];
    int normalized;
} request;

/* Error manager that returns control to the reader. The default one of libjpeg calls exit(). */
typedef struct {
    struct jpeg_error_mgr base; /* must be first, because libjpeg passes a pointer to it */
    jmp_buf escape;
    failure *failure;
    int strict;
    int in_scans; /* whether the headers have been read */
    int warned;   /* whether a warning of libjpeg was turned into an error */
} guard;

struct jpeg_error_mgr *guard_errors(guard *guard, failure *failure, int strict);
void fail(failure *failure, enum outcome outcome, const char *format, ...);

/* Memory for blocks; take_memory may return NULL, and give_memory accepts NULL. Safe in any thread. */
int open_pool(void); /* must be called first; returns -1 if there is no memory */
void *take_memory(size_t size, int zeroed);
void give_memory(void *memory);

/* Reads one image. Its memory is in picture->planes and is freed by free_planes. */
void read_picture(picture *picture, const request *request);
void free_planes(picture *picture);

typedef struct {
    int height, width, components, color_space;
    int sampling[COMPONENTS][2];
    const uint16_t *quantization; /* components x 64 */
    const int16_t *blocks[COMPONENTS];
    size_t bytes[COMPONENTS];
} unwritten;

/* Encodes an image into *data, allocated with malloc. On failure, sets the failure and leaves *data NULL. */
void write_picture(const unwritten *picture, failure *failure, unsigned char **data, size_t *size);

#endif
