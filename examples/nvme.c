// SPDX-License-Identifier: MIT
/*
 * The nvme tool's command line: a command word, then key=value. The tables of nvme_table.c define
 * the commands, their options and the help. `nvme help` prints them.
 */
#include <stdio.h>
#include <string.h>

#include "nvme_tool.h"
#include "options.h"

/* True if a command before `index` has this option: its line is printed already. */
static bool described_before(size_t index, const char *key)
{
    for (size_t i = 0; i < index; i++) {
        const struct option_table *table = &commands[i].table;

        for (size_t k = 0; k < table->count; k++) {
            if (strcmp(table->options[k].key, key) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Prints each command with its keys, then each option once with its default. */
static int print_help(void)
{
    char line[OPTION_ERROR_BYTES];

    printf("usage: nvme COMMAND [key=value ...]\n\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct option_table *table = &commands[i].table;

        printf("%-14s", commands[i].name);
        for (size_t k = 0; k < table->count; k++) {
            printf(" %s=", table->options[k].key);
        }
        printf("\n               %s\n", commands[i].help);
    }
    printf("\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct option_table *table = &commands[i].table;

        for (size_t k = 0; k < table->count; k++) {
            if (!described_before(i, table->options[k].key)) {
                option_describe(&table->options[k], &default_options, line, sizeof(line));
                printf("%s\n", line);
            }
        }
    }
    return 0;
}

static int refuse_command(const char *word)
{
    const char *names[COMMANDS_MAX + 1] = {0};
    const char *nearest;

    printf("error: command '%.40s' is unknown (help", word);
    for (size_t i = 0; i < command_count; i++) {
        names[i] = commands[i].name;
        printf(", %s", names[i]);
    }
    nearest = options_nearest(word, names);
    if (nearest != NULL) {
        printf("; did you mean '%s'?", nearest);
    }
    printf(")\n");
    return 1;
}

static int run_command(const struct command *command, int argc, char *argv[])
{
    static struct options options;
    char error[OPTION_ERROR_BYTES];

    options = default_options;
    if (command->alone) {
        options.iodepth = 1;
    }
    if (command->needs_count) {
        options.count = COUNT_NONE;
    }
    options.cns = command->cns;
    if (!options_parse(&command->table, argc, argv, &options, error, sizeof(error))) {
        printf("error: %s; hint: nvme help\n", error);
        return 1;
    }
    if (options.count == COUNT_NONE) {
        printf("error: %s overwrites blocks and needs count=; hint: count=0 means all blocks "
               "from lba= to the end of the namespace\n",
               command->name);
        return 1;
    }
    return command->run(&options);
}

int main(int argc, char *argv[])
{
    if (argc < 2 || strcmp(argv[1], "help") == 0) {
        return print_help();
    }
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return run_command(&commands[i], argc - 2, &argv[2]);
        }
    }
    return refuse_command(argv[1]);
}
