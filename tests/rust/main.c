// SPDX-License-Identifier: MIT
/*
 * The machine of block.rs: the model of a controller and its interrupt line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "block_device.h"
#include "fixture.h"

extern const size_t RUST_DEVICE_BYTES, RUST_CONFIG_BYTES;

int32_t kernel_main(struct block_device *device, struct block_config *config, bool sleeps);
void trap(void);
void machine_wait(void);

static struct fixture fixture;

void machine_wait(void)
{
    model_step(fixture.model, 1);
    while (model_line_claim(&fixture.line)) {
        trap();
        model_line_complete(&fixture.line);
    }
}

static void master_bus(void *arg)
{
    (void)arg;
    model_allow_dma(fixture.model);
}

static int32_t run(bool sleeps)
{
    static struct block_device device;
    struct block_config config = {.bus_master = master_bus};
    int32_t result;

    fixture_init(&fixture);
    fixture.model->on_demand = sleeps;
    config.registers = fixture.model->bar;
    config.registers_bytes = fixture.model->bar_bytes;
    if (block_memory_needed(&config) != 0) {
        return 1;
    }
    config.ordinary = fixture.memory.ordinary = fixture_buffer(config.ordinary_bytes);
    config.dma = fixture.memory.dma = fixture_buffer(config.dma_bytes);
    fixture.memory.dma_bytes = config.dma_bytes;
    fixture_map(&fixture);
    result = kernel_main(&device, &config, sleeps);
    fixture_drop(&fixture);
    printf("%s: %s\n", sleeps ? "sleeping" : "polling",
           result == 1 ? "other data" : block_error_text(result));
    return result;
}

int main(void)
{
    if (RUST_DEVICE_BYTES != sizeof(struct block_device) ||
        RUST_CONFIG_BYTES != sizeof(struct block_config)) {
        printf("device %zu bytes, in Rust %zu; configuration %zu, in Rust %zu\n",
               sizeof(struct block_device), RUST_DEVICE_BYTES, sizeof(struct block_config),
               RUST_CONFIG_BYTES);
        return 1;
    }
    return run(false) == 0 && run(true) == 0 ? 0 : 1;
}
