/* Reads a JPEG file as quantized blocks, or as chosen channels of numbers. */

#include <errno.h>

#include "native.h"

/* Encoders write about ten scans. A file of a few kilobytes could hold thousands, each a pass over the whole image. */
#define MAX_SCANS 500

/* Blocks of a component, in a single piece of memory that can be passed on. */
typedef struct {
    JBLOCK *values;
    JBLOCKARRAY rows;
    JDIMENSION height, width; /* in blocks, rounded up to whole MCUs */
} store;

typedef struct {
    struct jpeg_decompress_struct jpeg; /* must be first, because libjpeg passes a pointer to it */
    struct jpeg_progress_mgr progress;
    guard guard;
    store stores[COMPONENTS];
    int stored;
    void (*realize_others)(j_common_ptr jpeg);
} reader;

/* --- memory for blocks: that of libjpeg would be cleared, copied from and freed ------------------------------------ */

static size_t bytes_of(const store *store)
{
    return (size_t)store->width * store->height * sizeof(JBLOCK);
}

static jvirt_barray_ptr request_store(j_common_ptr jpeg, int pool, boolean zero, JDIMENSION width, JDIMENSION height,
                                      JDIMENSION access)
{
    reader *self = (reader *)jpeg;
    store *store;
    (void)pool;
    (void)zero;
    (void)access;
    if (self->stored == COMPONENTS) {
        fail(self->guard.failure, UNSUPPORTED, "more than %d color components", COMPONENTS);
        longjmp(self->guard.escape, 1);
    }
    store = self->stores + self->stored++;
    store->height = height;
    store->width = width;
    return (jvirt_barray_ptr)store; /* only the functions in this file look inside */
}

static void realize_stores(j_common_ptr jpeg)
{
    reader *self = (reader *)jpeg;
    int index;
    JDIMENSION y;
    for (index = 0; index < self->stored; index++) {
        store *store = self->stores + index;
        if (store->values != NULL)
            continue;
        if (store->width <= SIZE_MAX / sizeof(JBLOCK) / store->height) {
            store->values = take_memory(bytes_of(store), 1);
            store->rows = malloc(store->height * sizeof(JBLOCKROW));
        }
        if (store->values == NULL || store->rows == NULL) {
            fail(self->guard.failure, NO_MEMORY, "");
            longjmp(self->guard.escape, 1);
        }
        for (y = 0; y < store->height; y++)
            store->rows[y] = store->values + (size_t)y * store->width;
    }
    self->realize_others(jpeg);
}

static JBLOCKARRAY access_store(j_common_ptr jpeg, jvirt_barray_ptr array, JDIMENSION start, JDIMENSION count,
                                boolean writable)
{
    (void)jpeg;
    (void)count;
    (void)writable;
    return ((store *)array)->rows + start;
}

static void use_stores(reader *self)
{
    struct jpeg_memory_mgr *memory = self->jpeg.mem;
    self->realize_others = memory->realize_virt_arrays;
    memory->request_virt_barray = request_store;
    memory->realize_virt_arrays = realize_stores;
    memory->access_virt_barray = access_store;
}

static void free_stores(reader *self)
{
    int index;
    for (index = 0; index < self->stored; index++) {
        give_memory(self->stores[index].values);
        free(self->stores[index].rows);
    }
}

/* --- headers ------------------------------------------------------------------------------------------------------- */

static unsigned char *read_file(const path_char *path, size_t *size, failure *failure)
{
    size_t capacity = 1 << 18, length = 0, got;
    unsigned char *data = NULL, *grown;
    FILE *file;
    errno = 0;
#ifdef _WIN32
    file = _wfopen(path, L"rb");
#else
    file = fopen(path, "rb");
#endif
    if (file == NULL) {
        failure->os_error = errno;
        fail(failure, NO_FILE, "");
        return NULL;
    }
    setvbuf(file, NULL, _IONBF, 0);
    do {
        if (data != NULL)
            capacity *= 2;
        grown = realloc(data, capacity);
        if (grown == NULL) {
            fail(failure, NO_MEMORY, "");
            break;
        }
        data = grown;
        got = fread(data + length, 1, capacity - length, file);
        length += got;
    } while (length == capacity);
    if (failure->outcome == DONE && ferror(file)) {
        failure->os_error = errno ? errno : EIO;
        fail(failure, NO_FILE, "");
    }
    fclose(file);
    if (failure->outcome != DONE) {
        free(data);
        return NULL;
    }
    *size = length;
    return data;
}

static unsigned long number(const unsigned char *at, int bytes, int big_endian)
{
    unsigned long value = 0;
    int byte;
    for (byte = 0; byte < bytes; byte++)
        value = value << 8 | at[big_endian ? byte : bytes - 1 - byte];
    return value;
}

/* Returns the orientation in an EXIF block that starts with its TIFF header; 1 if it has none or is damaged. */
static int exif_orientation(const unsigned char *block, size_t size)
{
    unsigned long start, count, entry, value;
    int big;
    if (size < 8 || (memcmp(block, "II", 2) != 0 && memcmp(block, "MM", 2) != 0))
        return 1;
    big = block[0] == 'M';
    start = number(block + 4, 4, big);
    if (start > size - 2)
        return 1;
    count = number(block + start, 2, big);
    for (entry = start + 2; count > 0 && entry <= size && size - entry >= 4; entry += 12, count--) {
        unsigned long kind = number(block + entry + 2, 2, big);
        if (number(block + entry, 2, big) == 274 && (kind == 3 || kind == 4)) {
            int bytes = kind == 3 ? 2 : 4;
            if (size - entry < 8 + (size_t)bytes)
                return 1;
            value = number(block + entry + 8, bytes, big);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    jpeg_saved_marker_ptr marker;
    for (marker = jpeg->marker_list; marker != NULL; marker = marker->next)
        if (marker->marker == JPEG_APP0 + 1 && marker->data_length >= 6 && memcmp(marker->data, "Exif\0\0", 6) == 0)
            return exif_orientation(marker->data + 6, marker->data_length - 6);
    return 1;
}

static int describe(const struct jpeg_decompress_struct *jpeg, picture *picture, const request *request)
{
    int component;
    picture->height = (int)jpeg->image_height;
    picture->width = (int)jpeg->image_width;
    picture->components = jpeg->num_components;
    picture->color_space = jpeg->jpeg_color_space;
    if (jpeg->data_precision != 8) {
        fail(&picture->failure, UNSUPPORTED, "%d-bit samples", jpeg->data_precision);
        return 0;
    }
    if (jpeg->arith_code) {
        fail(&picture->failure, UNSUPPORTED, "arithmetic coding");
        return 0;
    }
    if (jpeg->num_components == 4) {
        fail(&picture->failure, UNSUPPORTED, "4 color components (CMYK or YCCK)");
        return 0;
    }
    if (jpeg->num_components != 1 && jpeg->num_components != 3) {
        fail(&picture->failure, UNSUPPORTED, "%d color components", jpeg->num_components);
        return 0;
    }
    for (component = 0; component < jpeg->num_components; component++) {
        picture->sampling[component][0] = jpeg->comp_info[component].h_samp_factor;
        picture->sampling[component][1] = jpeg->comp_info[component].v_samp_factor;
    }
    picture->orientation = orientation_of(jpeg);
    picture->has_header = 1;
    if ((unsigned long long)jpeg->image_height * jpeg->image_width > request->max_pixels) {
        fail(&picture->failure, TOO_LARGE, "");
        return 0;
    }
    return 1;
}

/* Computes the first block and the number of blocks to read from each component. */
static int lay_out(const struct jpeg_decompress_struct *jpeg, picture *picture)
{
    int component, alone = jpeg->num_components == 1; /* the sampling factors of a single component have no effect */
    long long whole_columns = jpeg->image_width / (DCTSIZE * (alone ? 1 : jpeg->max_h_samp_factor));
    const long long *crop = picture->crop;
    if (picture->flipped &&
        (picture->cropped ? crop[1] > whole_columns || crop[3] > whole_columns - crop[1] : whole_columns == 0)) {
        fail(&picture->failure, BAD_CROP, "");
        return 0;
    }
    for (component = 0; component < jpeg->num_components; component++) {
        const jpeg_component_info *info = jpeg->comp_info + component;
        long long across = alone ? 1 : info->h_samp_factor, down = alone ? 1 : info->v_samp_factor;
        plane *plane = picture->planes + component;
        plane->top = plane->left = 0;
        plane->rows = (int)info->height_in_blocks;
        plane->columns = (int)(picture->flipped ? whole_columns * across : info->width_in_blocks);
        if (!picture->cropped)
            continue;
        if (crop[0] < 0 || crop[1] < 0 || crop[2] < 1 || crop[3] < 1 || crop[0] > info->height_in_blocks ||
            crop[1] > info->width_in_blocks || crop[2] > info->height_in_blocks || crop[3] > info->width_in_blocks ||
            (crop[0] + crop[2]) * down > info->height_in_blocks || (crop[1] + crop[3]) * across > info->width_in_blocks) {
            fail(&picture->failure, BAD_CROP, "");
            return 0;
        }
        plane->top = (int)(crop[0] * down);
        plane->left = (int)(crop[1] * across);
        plane->rows = (int)(crop[2] * down);
        plane->columns = (int)(crop[3] * across);
    }
    return 1;
}

static int take_quantization(const struct jpeg_decompress_struct *jpeg, picture *picture, const request *request)
{
    int component;
    for (component = 0; component < jpeg->num_components; component++) {
        const jpeg_component_info *info = jpeg->comp_info + component;
        const JQUANT_TBL *table = info->quant_table; /* the table at the beginning of the component's first scan */
        if (table == NULL && !request->strict)
            table = jpeg->quant_tbl_ptrs[info->quant_tbl_no];
        if (table == NULL) {
            fail(&picture->failure, request->strict ? RECOVERABLE : DAMAGED, "color component %d is in none of its scans", component + 1);
            return 0;
        }
        memcpy(picture->quantization[component], table->quantval, sizeof picture->quantization[component]);
    }
    return 1;
}

/* Takes ownership of a component's blocks. Quantized blocks are never cropped. */
static void take_blocks(plane *plane, store *store)
{
    plane->values = store->values;
    plane->stride = (int)store->width;
    plane->bytes = bytes_of(store);
    store->values = NULL;
}

static void take_channels(const picture *picture, const request *request, int component, int first, const store *store)
{
    const plane *plane = picture->planes + component;
    const ptrdiff_t step = picture->flipped ? -DCTSIZE2 : DCTSIZE2;
    const int columns = plane->columns;
    int y, x, k;
    for (y = 0; y < plane->rows; y++) {
        const JBLOCK *row = store->rows[plane->top + y] + plane->left;
        for (k = 0; k < request->counts[component]; k++) {
            const int channel = request->channels[first + k];
            const float quantizer = picture->quantization[component][channel];
            /* basis functions of odd horizontal frequency are odd functions about the middle of the block */
            const int sign = picture->flipped && (channel & 1) ? -1 : 1;
            const JCOEF *in = &row[picture->flipped ? columns - 1 : 0][channel];
            float *out = (float *)plane->values + ((size_t)k * plane->rows + y) * columns;
            for (x = 0; x < columns; x++)
                out[x] = (float)(in[x * step] * sign) * quantizer;
            if (request->normalized) {
                const float mean = request->mean[first + k], deviation = request->deviation[first + k];
                for (x = 0; x < columns; x++)
                    out[x] = (out[x] - mean) / deviation;
            }
        }
    }
}

static int allocate(plane *plane, size_t bytes_each, failure *failure)
{
    size_t cells = (size_t)plane->rows * (size_t)plane->columns;
    plane->stride = plane->columns;
    plane->bytes = 0;
    if (bytes_each == 0)
        return 1;
    if (cells <= SIZE_MAX / bytes_each)
        plane->values = take_memory(cells * bytes_each, 0);
    if (plane->values == NULL) {
        fail(failure, NO_MEMORY, "");
        return 0;
    }
    plane->bytes = cells * bytes_each;
    return 1;
}

static void on_progress(j_common_ptr common)
{
    reader *self = (reader *)common;
    if (self->jpeg.input_scan_number > MAX_SCANS) {
        fail(self->guard.failure, DAMAGED, "it has more than %d scans", MAX_SCANS);
        longjmp(self->guard.escape, 1);
    }
}

static void decode(reader *self, picture *picture, const request *request)
{
    jvirt_barray_ptr *arrays;
    int component, first;
    if (setjmp(self->guard.escape))
        return;
    self->jpeg.err = guard_errors(&self->guard, &picture->failure, request->strict);
    jpeg_create_decompress(&self->jpeg);
    use_stores(self);
    self->progress.progress_monitor = on_progress;
    self->jpeg.progress = &self->progress;
    jpeg_mem_src(&self->jpeg, picture->data, (unsigned long)picture->size);
    jpeg_save_markers(&self->jpeg, JPEG_APP0 + 1, 0xFFFF);
    /* tables alone may come first, with markers of their own around them */
    while (jpeg_read_header(&self->jpeg, FALSE) == JPEG_HEADER_TABLES_ONLY) {
        const struct jpeg_source_mgr *rest = self->jpeg.src;
        if (rest->bytes_in_buffer < 2 || rest->next_input_byte[0] != 0xFF || rest->next_input_byte[1] != 0xD8)
            ERREXIT(&self->jpeg, JERR_NO_IMAGE);
    }
    if (!describe(&self->jpeg, picture, request) || request->task == HEADER || !lay_out(&self->jpeg, picture))
        return;
    self->guard.in_scans = 1;
    arrays = jpeg_read_coefficients(&self->jpeg);
    if (!take_quantization(&self->jpeg, picture, request))
        return;
    for (component = first = 0; component < picture->components; first += request->counts[component++]) {
        plane *plane = picture->planes + component;
        store *store = (void *)arrays[component];
        if (request->task == BLOCKS) {
            take_blocks(plane, store);
            continue;
        }
        if (!allocate(plane, request->counts[component] * sizeof(float), &picture->failure))
            return;
        take_channels(picture, request, component, first, store);
    }
}

void read_picture(picture *picture, const request *request)
{
    reader self;
    unsigned char *file = NULL;
    memset(&self, 0, sizeof self);
    if (picture->data == NULL) {
        picture->data = file = read_file(picture->path, &picture->size, &picture->failure);
        if (file == NULL)
            return;
    }
    if (picture->size == 0)
        fail(&picture->failure, EMPTY, "");
    else if (picture->size > 0x7FFFFFFF) /* jpeg_mem_src uses long, which has 32 bits on Windows */
        fail(&picture->failure, UNSUPPORTED, "more than 2 GiB of data");
    else {
        decode(&self, picture, request);
        jpeg_destroy_decompress(&self.jpeg);
        free_stores(&self);
    }
    if (picture->failure.outcome != DONE)
        free_planes(picture);
    free(file);
    picture->data = NULL;
}

void free_planes(picture *picture)
{
    int component;
    for (component = 0; component < COMPONENTS; component++) {
        give_memory(picture->planes[component].values);
        picture->planes[component].values = NULL;
    }
}
