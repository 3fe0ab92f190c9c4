/* What the parts of the compiled JPEG reader share; only batch.h adds Python to it. */

#ifndef PASSBAND_JPEG_NATIVE_H
#define PASSBAND_JPEG_NATIVE_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h needs it first */
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

/* How a picture ended; the same names and numbers as Outcome in passband.io.jpeg.info. */
enum outcome {
    DONE,
    EMPTY,
    NOT_JPEG,
    DAMAGED,
    RECOVERABLE, /* damaged, but something would come out */
    UNSUPPORTED,
    TOO_LARGE,
    BAD_CROP,
    NO_FILE,
    NO_MEMORY
};

enum task { HEADER, BLOCKS, CHANNELS };

typedef struct {
    enum outcome outcome;
    int os_error; /* errno, with NO_FILE */
    char text[JMSG_LENGTH_MAX];
} failure;

typedef struct {
    int rows, columns; /* in blocks */
    int top, left;     /* of the crop, in blocks of the stored component */
    int stride;        /* blocks from one row to the next */
    void *values;      /* int16 (rows or more) x stride x 64, or float32 channels x rows x columns; of take_memory */
    size_t bytes;
} plane;

typedef struct {
    /* given */
    const path_char *path; /* read where data is NULL */
    const unsigned char *data;
    size_t size;
    int cropped, flipped;
    long long crop[4]; /* top, left, height, width in MCUs */
    /* found */
    failure failure;
    int has_header;
    int height, width, components, color_space, orientation;
    int sampling[COMPONENTS][2]; /* horizontal, vertical */
    uint16_t quantization[COMPONENTS][DCTSIZE2];
    plane planes[COMPONENTS];
} picture;

/* What to do with every picture of a call. */
typedef struct {
    enum task task;
    int strict; /* damaged data is an error rather than gray */
    unsigned long long max_pixels;
    int counts[COMPONENTS];                /* channels taken of each component */
    int channels[COMPONENTS * DCTSIZE2];   /* raster indices, one component after the other */
    float mean[COMPONENTS * DCTSIZE2], deviation[COMPONENTS * DCTSIZE2];
    int normalized;
} request;

/* libjpeg's error manager, which calls exit() by itself, made to come back. */
typedef struct {
    struct jpeg_error_mgr base; /* first: libjpeg hands this pointer back */
    jmp_buf escape;
    failure *failure;
    int strict;
    int in_scans; /* the headers are read */
    int warned;   /* what libjpeg would go on after has been made an error */
} guard;

struct jpeg_error_mgr *guard_errors(guard *guard, failure *failure, int strict);
void fail(failure *failure, enum outcome outcome, const char *format, ...);

/* Memory for blocks, or NULL, in any thread. What is given may be NULL. */
int open_pool(void); /* before all else; -1 where there is no memory */
void *take_memory(size_t size, int zeroed);
void give_memory(void *memory);

/* Reads one picture; what it allocates is in picture->planes, freed by free_planes. */
void read_picture(picture *picture, const request *request);
void free_planes(picture *picture);

typedef struct {
    int height, width, components, color_space;
    int sampling[COMPONENTS][2];
    const uint16_t *quantization; /* components x 64 */
    const int16_t *blocks[COMPONENTS];
    size_t bytes[COMPONENTS];
} unwritten;

/* Encodes a picture into malloc'd *data, or sets the failure and leaves *data NULL. */
void write_picture(const unwritten *picture, failure *failure, unsigned char **data, size_t *size);

#endif
