/* Seconds that jpeg_read_coefficients takes for files in memory: jpeg_bound PASSES FILE... */

#define _POSIX_C_SOURCE 199309L

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jpeglib.h>

static unsigned char *read_file(const char *path, unsigned long *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *data;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    *size = (unsigned long)ftell(file);
    rewind(file);
    data = malloc(*size);
    if (data == NULL || fread(data, 1, *size, file) != *size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return data;
}

int main(int count, char **arguments)
{
    int files = count - 2, passes = count > 2 ? atoi(arguments[1]) : 0, pass, index;
    unsigned char **data = malloc(sizeof *data * (size_t)(files > 0 ? files : 1));
    unsigned long *sizes = malloc(sizeof *sizes * (size_t)(files > 0 ? files : 1));
    struct timespec start, end;
    if (passes < 1 || data == NULL || sizes == NULL) {
        fprintf(stderr, "usage: %s PASSES FILE...\n", arguments[0]);
        return 1;
    }
    for (index = 0; index < files; index++)
        data[index] = read_file(arguments[index + 2], sizes + index);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (pass = 0; pass < passes; pass++)
        for (index = 0; index < files; index++) {
            struct jpeg_decompress_struct jpeg;
            struct jpeg_error_mgr errors;
            jpeg.err = jpeg_std_error(&errors);
            jpeg_create_decompress(&jpeg);
            jpeg_mem_src(&jpeg, data[index], sizes[index]);
            jpeg_read_header(&jpeg, TRUE);
            jpeg_read_coefficients(&jpeg);
            jpeg_destroy_decompress(&jpeg);
        }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.9f\n", (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    return 0;
}
