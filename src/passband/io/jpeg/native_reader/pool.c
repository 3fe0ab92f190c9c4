/* Memory of earlier pictures, kept for later ones.
 *
 * An allocator with an arena for each thread gives a thread's memory back to the system when a batch is let go, and every
 * page of the next batch is then faulted in anew: a seventh of the time of two threads. What is kept is never more than
 * was in use at once. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "native.h"

#if defined(__SANITIZE_ADDRESS__)
#define KEPT_BYTES 0 /* what is kept hides reads beyond the end and after the end */
#else
#define KEPT_BYTES ((size_t)64 << 20)
#endif
#define KEPT_BLOCKS 512

/* In front of the memory that is handed out, which it keeps aligned to 16 bytes as malloc has it. */
typedef union {
    size_t capacity;
    char room[16];
} header;

typedef struct {
    header *block;
    size_t capacity; /* the block's own, without a look at memory gone cold */
} kept;

static struct {
    PyThread_type_lock turn;
    kept blocks[KEPT_BLOCKS]; /* the oldest first */
    int count;
    size_t bytes;
} pool;

int open_pool(void)
{
    if (pool.turn == NULL)
        pool.turn = PyThread_allocate_lock();
    return pool.turn == NULL ? -1 : 0;
}

/* Nobody waits: a process forked while another thread held the lock would wait for ever. */
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

/* The newest kept block of the size or up to an eighth more, or NULL. */
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
