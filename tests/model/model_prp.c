// SPDX-License-Identifier: MIT
/*
 * The PRP walker: see model_prp.h.
 */
#include "model_prp.h"

#include <string.h>

#include "model_internal.h"

void model_prp_begin(struct model_prp *walk, uint32_t page_bytes, uint64_t prp1, uint64_t prp2,
                     uint32_t bytes)
{
    *walk = (struct model_prp){
        .page_bytes = page_bytes,
        .left = bytes,
        .next = prp1,
        .prp2 = prp2,
    };
    if (prp1 % 4 != 0) {
        world_find("PRP1 is not dword aligned: %#llx", (unsigned long long)prp1);
    }
    if (bytes != 0 && prp1 == 0) {
        world_find("PRP1 is 0");
        walk->left = 0;
    }
}

static uint64_t load_entry(const struct model_prp *walk, uint64_t address)
{
    const void *host = world_host(address);
    uint64_t entry = 0;

    model_reach(host, sizeof(entry), false);
    if (walk->clean_epoch != 0 && !world_was_cleaned(host, sizeof(entry), walk->clean_epoch)) {
        world_find("a PRP list is not cleaned before its command");
    }
    if (host != NULL) {
        memcpy(&entry, host, sizeof(entry));
    }
    return entry;
}

/* Enters a page of the list. The first may begin inside a page, the others may not. */
static void enter_list(struct model_prp *walk, uint64_t address)
{
    if (walk->list_pages == 0 ? address % 8 != 0 : address % walk->page_bytes != 0) {
        world_find("a PRP list pointer is misaligned: %#llx", (unsigned long long)address);
    }
    walk->list = address;
    walk->list_pages++;
}

/* The address of the next page from the list, which is chained at the end of each of its pages. */
static uint64_t list_next(struct model_prp *walk)
{
    bool last_of_page = walk->list % walk->page_bytes == walk->page_bytes - 8;
    uint64_t entry;

    if (last_of_page && walk->left > walk->page_bytes) {
        enter_list(walk, load_entry(walk, walk->list));
    }
    entry = load_entry(walk, walk->list);
    walk->list += 8;
    return entry;
}

/* The address of the second and every later page. */
static uint64_t later_page(struct model_prp *walk)
{
    if (walk->pieces == 1 && walk->left <= walk->page_bytes) {
        return walk->prp2;
    }
    if (walk->pieces == 1) {
        enter_list(walk, walk->prp2);
    }
    return list_next(walk);
}

bool model_prp_next(struct model_prp *walk, uint8_t **host, uint32_t *bytes)
{
    uint64_t address = walk->next;
    uint32_t room;

    if (walk->left == 0) {
        if (walk->pieces == 1 && walk->prp2 != 0) {
            world_find("PRP2 is set for a transfer inside one page");
        }
        return false;
    }
    if (walk->pieces != 0) {
        address = later_page(walk);
        if (address % walk->page_bytes != 0 || address == 0) {
            world_find("a later PRP is not the start of a page: %#llx",
                       (unsigned long long)address);
        }
    }
    if (address == 0) {
        walk->left = 0;
        return false;
    }
    room = walk->page_bytes - (uint32_t)(address % walk->page_bytes);
    *bytes = room < walk->left ? room : walk->left;
    *host = world_host(address);
    if (walk->clean_epoch != 0 && !world_was_cleaned(*host, *bytes, walk->clean_epoch)) {
        world_find("a buffer is not cleaned before its command");
    }
    walk->left -= *bytes;
    walk->pieces++;
    return true;
}
