/* Writes quantized blocks to a JPEG file without loss. */

#include "native.h"

typedef struct {
    struct jpeg_destination_mgr base; /* must be first, because libjpeg passes a pointer to it */
    unsigned char *data;
    size_t size, capacity;
} sink;

typedef struct {
    struct jpeg_compress_struct jpeg;
    guard guard;
    sink sink; /* replaces libjpeg's, which does not tell after an error which of its buffers must be freed */
    jpeg_scan_info scans[COMPONENTS];
} writer;

static void make_room(sink *self)
{
    self->base.next_output_byte = self->data + self->size;
    self->base.free_in_buffer = self->capacity - self->size;
}

static void on_start(j_compress_ptr jpeg)
{
    make_room((sink *)jpeg->dest);
}

static boolean on_full(j_compress_ptr jpeg)
{
    sink *self = (sink *)jpeg->dest;
    unsigned char *grown = realloc(self->data, self->capacity * 2);
    if (grown == NULL)
        ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 0);
    self->data = grown;
    self->size = self->capacity; /* libjpeg calls this only when the whole buffer is full */
    self->capacity *= 2;
    make_room(self);
    return TRUE;
}

static void on_end(j_compress_ptr jpeg)
{
    sink *self = (sink *)jpeg->dest;
    self->size = self->capacity - self->base.free_in_buffer;
}

/* Assigns slots to the tables. Components with equal tables share a slot, as in other encoders. */
static void set_quantization(j_compress_ptr jpeg, const uint16_t *tables)
{
    int component, slot, used = 0;
    for (component = 0; component < jpeg->num_components; component++) {
        const uint16_t *table = tables + component * DCTSIZE2;
        for (slot = 0; slot < used; slot++)
            if (memcmp(jpeg->quant_tbl_ptrs[slot]->quantval, table, sizeof(uint16_t) * DCTSIZE2) == 0)
                break;
        if (slot == used) {
            if (jpeg->quant_tbl_ptrs[slot] == NULL)
                jpeg->quant_tbl_ptrs[slot] = jpeg_alloc_quant_table((j_common_ptr)jpeg);
            memcpy(jpeg->quant_tbl_ptrs[slot]->quantval, table, sizeof(uint16_t) * DCTSIZE2);
            jpeg->quant_tbl_ptrs[slot]->sent_table = FALSE;
            used++;
        }
        jpeg->comp_info[component].quant_tbl_no = slot;
    }
}

/* A scan of all components may have at most ten blocks per MCU. With more, each component gets its own scan. */
static void set_scans(writer *self)
{
    int component, blocks = 0;
    for (component = 0; component < self->jpeg.num_components; component++)
        blocks += self->jpeg.comp_info[component].h_samp_factor * self->jpeg.comp_info[component].v_samp_factor;
    if (blocks <= C_MAX_BLOCKS_IN_MCU || self->jpeg.num_components == 1)
        return;
    for (component = 0; component < self->jpeg.num_components; component++) {
        self->scans[component].comps_in_scan = 1;
        self->scans[component].component_index[0] = component;
        self->scans[component].Se = DCTSIZE2 - 1;
    }
    self->jpeg.scan_info = self->scans;
    self->jpeg.num_scans = self->jpeg.num_components;
}

static JDIMENSION rounded_up(JDIMENSION value, int multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

static JDIMENSION blocks_along(int pixels, int factor, int largest)
{
    long long unit = (long long)largest * DCTSIZE;
    return (JDIMENSION)(((long long)pixels * factor + unit - 1) / unit);
}

static void encode(writer *self, const unwritten *picture)
{
    j_compress_ptr jpeg = &self->jpeg;
    j_common_ptr common = (j_common_ptr)jpeg;
    jvirt_barray_ptr arrays[COMPONENTS];
    JDIMENSION rows[COMPONENTS], columns[COMPONENTS], y;
    int component, most[2] = {1, 1};
    if (setjmp(self->guard.escape))
        return;
    jpeg_create_compress(jpeg);
    jpeg->dest = &self->sink.base;
    jpeg->image_height = (JDIMENSION)picture->height;
    jpeg->image_width = (JDIMENSION)picture->width;
#if JPEG_LIB_VERSION >= 70
    jpeg->jpeg_height = (JDIMENSION)picture->height;
    jpeg->jpeg_width = (JDIMENSION)picture->width;
    jpeg->min_DCT_h_scaled_size = jpeg->min_DCT_v_scaled_size = DCTSIZE;
#endif
    jpeg->input_components = picture->components;
    jpeg->in_color_space = (J_COLOR_SPACE)picture->color_space;
    jpeg_set_defaults(jpeg);
    jpeg_set_colorspace(jpeg, (J_COLOR_SPACE)picture->color_space);
    jpeg->scan_info = NULL; /* the default of MozJPEG is progressive */
    jpeg->num_scans = 0;
    jpeg->optimize_coding = TRUE; /* the standard tables have no codes for some values of changed coefficients */
    for (component = 0; component < picture->components; component++) {
        const int *sampling = picture->sampling[component];
        jpeg->comp_info[component].h_samp_factor = sampling[0];
        jpeg->comp_info[component].v_samp_factor = sampling[1];
        most[0] = sampling[0] > most[0] ? sampling[0] : most[0];
        most[1] = sampling[1] > most[1] ? sampling[1] : most[1];
    }
    set_quantization(jpeg, picture->quantization);
    set_scans(self);
    for (component = 0; component < picture->components; component++) {
        const int *sampling = picture->sampling[component];
        columns[component] = blocks_along(picture->width, sampling[0], most[0]);
        rows[component] = blocks_along(picture->height, sampling[1], most[1]);
        if (picture->bytes[component] != (size_t)rows[component] * columns[component] * sizeof(JBLOCK)) {
            fail(self->guard.failure, DAMAGED, "color component %d needs %u x %u blocks", component + 1,
                 (unsigned)rows[component], (unsigned)columns[component]);
            return;
        }
        arrays[component] = jpeg->mem->request_virt_barray(
            common, JPOOL_IMAGE, TRUE, rounded_up(columns[component], sampling[0]),
            rounded_up(rows[component], sampling[1]), (JDIMENSION)sampling[1]);
    }
    jpeg_write_coefficients(jpeg, arrays); /* allocates the arrays; the blocks are read at the end */
    for (component = 0; component < picture->components; component++)
        for (y = 0; y < rows[component]; y++)
            memcpy(jpeg->mem->access_virt_barray(common, arrays[component], y, 1, TRUE)[0],
                   picture->blocks[component] + (size_t)y * columns[component] * DCTSIZE2,
                   columns[component] * sizeof(JBLOCK));
    jpeg_finish_compress(jpeg);
}

void write_picture(const unwritten *picture, failure *failure, unsigned char **data, size_t *size)
{
    writer self;
    memset(&self, 0, sizeof self);
    *data = NULL;
    self.sink.capacity = 1 << 16;
    self.sink.data = malloc(self.sink.capacity);
    if (self.sink.data == NULL) {
        fail(failure, NO_MEMORY, "");
        return;
    }
    self.sink.base.init_destination = on_start;
    self.sink.base.empty_output_buffer = on_full;
    self.sink.base.term_destination = on_end;
    self.jpeg.err = guard_errors(&self.guard, failure, 1);
    encode(&self, picture);
    jpeg_destroy_compress(&self.jpeg);
    if (failure->outcome != DONE) {
        free(self.sink.data);
        return;
    }
    *data = self.sink.data;
    *size = self.sink.size;
}
