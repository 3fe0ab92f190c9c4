/* Converts errors and warnings of libjpeg to values. */

#include <stdarg.h>

#include "native.h"

void fail(failure *failure, enum outcome outcome, const char *format, ...)
{
    va_list values;
    failure->outcome = outcome;
    va_start(values, format);
    vsnprintf(failure->text, sizeof failure->text, format, values);
    va_end(values);
}

static void on_error(j_common_ptr jpeg)
{
    guard *self = (guard *)jpeg->err;
    char text[JMSG_LENGTH_MAX];
    switch (jpeg->err->msg_code) {
    case JERR_NO_SOI:
        fail(self->failure, NOT_JPEG, "it starts with 0x%02x 0x%02x", jpeg->err->msg_parm.i[0] & 255,
             jpeg->err->msg_parm.i[1] & 255);
        break;
    case JERR_BAD_PRECISION:
        fail(self->failure, UNSUPPORTED, "%d-bit samples", jpeg->err->msg_parm.i[0]);
        break;
    case JERR_ARITH_NOTIMPL:
        fail(self->failure, UNSUPPORTED, "arithmetic coding");
        break;
    case JERR_OUT_OF_MEMORY:
        fail(self->failure, NO_MEMORY, "");
        break;
    case JERR_SOF_UNSUPPORTED:
    case JERR_NOTIMPL: /* means lossless coding in libjpeg-turbo 3 */
    case JERR_NOT_COMPILED:
        fail(self->failure, UNSUPPORTED, "lossless or hierarchical coding");
        break;
    default:
        jpeg->err->format_message(jpeg, text);
        fail(self->failure, self->warned ? RECOVERABLE : DAMAGED, "%s", text);
    }
    longjmp(self->escape, 1);
}

static int is_harmless(const guard *self)
{
    switch (self->base.msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
        return 1; /* neither affects the coefficients */
    case JWRN_EXTRANEOUS_DATA:
        return !self->in_scans; /* some cameras write padding between headers */
    default:
        return 0;
    }
}

static void on_message(j_common_ptr jpeg, int level)
{
    guard *self = (guard *)jpeg->err;
    if (level >= 0)
        return; /* a trace message */
    self->base.num_warnings++;
    if (self->strict && !is_harmless(self)) {
        self->warned = 1;
        on_error(jpeg);
    }
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg; /* the default function would print */
}

struct jpeg_error_mgr *guard_errors(guard *self, failure *failure, int strict)
{
    jpeg_std_error(&self->base);
    self->base.error_exit = on_error;
    self->base.emit_message = on_message;
    self->base.output_message = on_output;
    self->failure = failure;
    self->strict = strict;
    return &self->base;
}
