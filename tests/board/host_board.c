// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L

#include "host_board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dma.h"
#include "harts.h"
#include "heap.h"
#include "timer.h"
#include "trap.h"

enum { HEAP_BLOCKS = 16 };
#define LOOK_NS UINT64_C(1000000)

static struct {
    struct hart harts[HART_LIMIT];
    unsigned hart_count;
    unsigned self;
    unsigned looks;
    void (*on_time)(void *arg, unsigned looks);
    void *time_arg;
    void *blocks[HEAP_BLOCKS];
    unsigned block_count;
    FILE *console; /* while it is listened to: the real one */
    char text[BOARD_TEXT_BYTES];
} board;

void board_init(unsigned harts)
{
    memset(&board, 0, sizeof(board));
    board.hart_count = harts;
}

void board_finish(void)
{
    while (board.block_count != 0) {
        free(board.blocks[--board.block_count]);
    }
}

void board_enter(unsigned index)
{
    assert_true(index < board.hart_count);
    board.self = index;
}

void board_interrupt(void)
{
    board.harts[board.self].external();
}

bool board_is_open(void)
{
    return board.harts[board.self].external != NULL;
}

void board_on_time(void (*hook)(void *arg, unsigned looks), void *arg)
{
    board.on_time = hook;
    board.time_arg = arg;
    board.looks = 0;
}

void board_listen(void)
{
    memset(board.text, 0, sizeof(board.text));
    board.console = stdout;
    stdout = fmemopen(board.text, sizeof(board.text) - 1, "w");
    assert_non_null(stdout);
}

const char *board_heard(void)
{
    fclose(stdout);
    stdout = board.console;
    return board.text;
}

/* ---- platform/riscv64, as far as it is asked ------------------------------------------------- */

struct dma_map dma_map;

uint64_t time_now_ns(void)
{
    board.looks++;
    if (board.on_time != NULL) {
        board.on_time(board.time_arg, board.looks);
    }
    return board.looks * LOOK_NS;
}

struct hart *hart_self(void)
{
    return &board.harts[board.self];
}

unsigned hart_count(void)
{
    return board.hart_count;
}

uint64_t hart_id(unsigned index)
{
    return 3 + 2 * (uint64_t)index;
}

bool harts_run(unsigned count, void (*function)(void *arg, unsigned index), void *arg)
{
    unsigned self = board.self;

    for (board.self = 0; board.self < count; board.self++) {
        function(arg, board.self);
    }
    board.self = self;
    return true;
}

void trap_attach_external(unsigned index, void (*handler)(void))
{
    board.harts[index].external = handler;
}

void *heap_take(size_t size_bytes, size_t alignment)
{
    void *block = calloc(1, size_bytes);

    (void)alignment; /* malloc's own is enough for all that is taken */
    assert_true(board.block_count < HEAP_BLOCKS);
    board.blocks[board.block_count++] = block;
    return block;
}

void panic(const char *message)
{
    mock_assert(0, message, __FILE__, __LINE__);
    abort();
}
