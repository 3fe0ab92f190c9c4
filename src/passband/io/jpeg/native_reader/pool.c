/* Keeps the memory of earlier images for later images.
 *
 * Allocators with an arena for each thread return the memory to the system when a batch is freed. The pages of the next
 * batch then cause page faults, which take a seventh of the time of two threads. The kept memory is never more than the
 * largest amount that was in use at once. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "native.h"

#if defined(__SANITIZE_ADDRESS__)
#define KEPT_BYTES 0 /* kept memory would hide reads out of bounds and after free */
#else
#define KEPT_BYTES ((size_t)64 << 20)
#endif
#define KEPT_BLOCKS 512

/* Header in front of each block of memory. It keeps the block aligned to 16 bytes, like malloc. */
typedef union {
    size_t capacity;
    char room[16];
} header;

typedef struct {
    header *block;
    size_t capacity; /* capacity of the block, stored here so that its memory need not be read */
} kept;

static struct {
    PyThread_type_lock turn;
    kept blocks[KEPT_BLOCKS]; /* oldest first */
    int count;
    size_t bytes;
} pool;

int open_pool(void)
{
    if (pool.turn == NULL)
        pool.turn = PyThread_allocate_lock();
    return pool.turn == NULL ? -1 : 0;
}

/* Does not wait for the lock. In a process that was forked while another thread held it, it would wait forever. */
static int enter(void)
{
    return PyThread_acquire_lock(pool.turn, NOWAIT_LOCK);
}

static void leave(void)
{
    PyThread_release_lock(pool.turn);
}

static header *remove_at(int index)
{
    header *block = pool.blocks[index].block;
    pool.bytes -= pool.blocks[index].capacity;
    pool.count--;
    memmove(pool.blocks + index, pool.blocks + index + 1, (size_t)(pool.count - index) * sizeof(kept));
    return block;
}

/* Returns the newest kept block whose capacity is at least the size and at most an eighth more, or NULL. */
static header *reuse(size_t size)
{
    header *found = NULL;
    int index;
    if (!enter())
        return NULL;
    for (index = pool.count - 1; found == NULL && index >= 0; index--)
        if (pool.blocks[index].capacity >= size && pool.blocks[index].capacity - size <= size / 8)
            found = remove_at(index);
    leave();
    return found;
}

void *take_memory(size_t size, int zeroed)
{
    header *block;
    if (size == 0 || size > SIZE_MAX - sizeof(header))
        return NULL;
    block = reuse(size);
    if (block != NULL) {
        if (zeroed)
            memset(block + 1, 0, size);
        return block + 1;
    }
    block = zeroed ? calloc(1, sizeof(header) + size) : malloc(sizeof(header) + size);
    if (block == NULL)
        return NULL;
    block->capacity = size;
    return block + 1;
}

void give_memory(void *memory)
{
    header *block;
    size_t capacity;
    if (memory == NULL)
        return;
    block = (header *)memory - 1;
    capacity = block->capacity;
    if (capacity > KEPT_BYTES || !enter()) {
        free(block);
        return;
    }
    while (pool.count == KEPT_BLOCKS || pool.bytes > KEPT_BYTES - capacity)
        free(remove_at(0));
    pool.blocks[pool.count++] = (kept){block, capacity};
    pool.bytes += capacity;
    leave();
}
