// SPDX-License-Identifier: MIT
/*
 * The fields of the pages, in the order and with the names of nvme-cli. Offsets: NVMe Base 2.0,
 * Identify Controller, SMART / Health Information, Error Information; NVM Command Set 1.0, Identify
 * Namespace.
 */
#include "page_field.h"

#define TABLE(list)                                                                                \
    {                                                                                              \
        .fields = (list), .count = sizeof(list) / sizeof((list)[0])                                \
    }

/* A number of `size_bytes`, in text decimal. */
#define NUMBER(at, size_bytes, name_json)                                                          \
    {                                                                                              \
        .name = (name_json), .offset = (at), .size = (size_bytes), .kind = PAGE_DECIMAL            \
    }
/* The same, left out when it is 0. */
#define OPTIONAL(at, size_bytes, name_json)                                                        \
    {                                                                                              \
        .name = (name_json), .offset = (at), .size = (size_bytes), .kind = PAGE_DECIMAL,           \
        .optional = true                                                                           \
    }
/* A field of another kind, and its name in text. */
#define FIELD(at, size_bytes, name_json, name_text, look)                                          \
    {                                                                                              \
        .name = (name_json), .label = (name_text), .offset = (at), .size = (size_bytes),           \
        .kind = (look)                                                                             \
    }
/* Bits of a field. */
#define PART(at, size_bytes, name_json, from, width, look)                                         \
    {                                                                                              \
        .name = (name_json), .offset = (at), .size = (size_bytes), .kind = (look), .low = (from),  \
        .bits = (width)                                                                            \
    }

static const struct page_field controller_fields[] = {
    NUMBER(0, 2, "vid"),
    NUMBER(2, 2, "ssvid"),
    FIELD(4, 20, "sn", NULL, PAGE_STRING),
    FIELD(24, 40, "mn", NULL, PAGE_STRING),
    FIELD(64, 8, "fr", NULL, PAGE_STRING),
    NUMBER(72, 1, "rab"),
    NUMBER(73, 3, "ieee"),
    NUMBER(76, 1, "cmic"),
    NUMBER(77, 1, "mdts"),
    NUMBER(78, 2, "cntlid"),
    NUMBER(80, 4, "ver"),
    NUMBER(84, 4, "rtd3r"),
    NUMBER(88, 4, "rtd3e"),
    NUMBER(92, 4, "oaes"),
    NUMBER(96, 4, "ctratt"),
    NUMBER(100, 2, "rrls"),
    NUMBER(111, 1, "cntrltype"),
    NUMBER(128, 2, "crdt1"),
    NUMBER(130, 2, "crdt2"),
    NUMBER(132, 2, "crdt3"),
    NUMBER(253, 1, "nvmsr"),
    NUMBER(254, 1, "vwci"),
    NUMBER(255, 1, "mec"),
    NUMBER(256, 2, "oacs"),
    NUMBER(258, 1, "acl"),
    NUMBER(259, 1, "aerl"),
    NUMBER(260, 1, "frmw"),
    NUMBER(261, 1, "lpa"),
    NUMBER(262, 1, "elpe"),
    NUMBER(263, 1, "npss"),
    NUMBER(264, 1, "avscc"),
    NUMBER(265, 1, "apsta"),
    NUMBER(266, 2, "wctemp"),
    NUMBER(268, 2, "cctemp"),
    NUMBER(270, 2, "mtfa"),
    NUMBER(272, 4, "hmpre"),
    NUMBER(276, 4, "hmmin"),
    NUMBER(280, 16, "tnvmcap"),
    NUMBER(296, 16, "unvmcap"),
    NUMBER(312, 4, "rpmbs"),
    NUMBER(316, 2, "edstt"),
    NUMBER(318, 1, "dsto"),
    NUMBER(319, 1, "fwug"),
    NUMBER(320, 2, "kas"),
    NUMBER(322, 2, "hctma"),
    NUMBER(324, 2, "mntmt"),
    NUMBER(326, 2, "mxtmt"),
    NUMBER(328, 4, "sanicap"),
    NUMBER(332, 4, "hmminds"),
    NUMBER(336, 2, "hmmaxd"),
    NUMBER(338, 2, "nsetidmax"),
    NUMBER(340, 2, "endgidmax"),
    NUMBER(342, 1, "anatt"),
    NUMBER(343, 1, "anacap"),
    NUMBER(344, 4, "anagrpmax"),
    NUMBER(348, 4, "nanagrpid"),
    NUMBER(352, 4, "pels"),
    NUMBER(356, 2, "domainid"),
    NUMBER(368, 16, "megcap"),
    NUMBER(512, 1, "sqes"),
    NUMBER(513, 1, "cqes"),
    NUMBER(514, 2, "maxcmd"),
    NUMBER(516, 4, "nn"),
    NUMBER(520, 2, "oncs"),
    NUMBER(522, 2, "fuses"),
    NUMBER(524, 1, "fna"),
    NUMBER(525, 1, "vwc"),
    NUMBER(526, 2, "awun"),
    NUMBER(528, 2, "awupf"),
    NUMBER(530, 1, "icsvscc"),
    NUMBER(531, 1, "nwpc"),
    NUMBER(532, 2, "acwu"),
    NUMBER(534, 2, "ocfs"),
    NUMBER(536, 4, "sgls"),
    NUMBER(540, 4, "mnan"),
    NUMBER(544, 16, "maxdna"),
    NUMBER(560, 4, "maxcna"),
    FIELD(768, 256, "subnqn", NULL, PAGE_STRING),
    NUMBER(1792, 4, "ioccsz"),
    NUMBER(1796, 4, "iorcsz"),
    NUMBER(1800, 2, "icdoff"),
    NUMBER(1802, 1, "fcatt"),
    NUMBER(1803, 1, "msdbd"),
    NUMBER(1804, 2, "ofcs"),
};
const struct page_table page_controller = TABLE(controller_fields);

static const struct page_field namespace_fields[] = {
    NUMBER(0, 8, "nsze"),
    NUMBER(8, 8, "ncap"),
    NUMBER(16, 8, "nuse"),
    NUMBER(24, 1, "nsfeat"),
    NUMBER(25, 1, "nlbaf"),
    NUMBER(26, 1, "flbas"),
    NUMBER(27, 1, "mc"),
    NUMBER(28, 1, "dpc"),
    NUMBER(29, 1, "dps"),
    NUMBER(30, 1, "nmic"),
    NUMBER(31, 1, "rescap"),
    NUMBER(32, 1, "fpi"),
    NUMBER(33, 1, "dlfeat"),
    NUMBER(34, 2, "nawun"),
    NUMBER(36, 2, "nawupf"),
    NUMBER(38, 2, "nacwu"),
    NUMBER(40, 2, "nabsn"),
    NUMBER(42, 2, "nabo"),
    NUMBER(44, 2, "nabspf"),
    NUMBER(46, 2, "noiob"),
    NUMBER(48, 16, "nvmcap"),
    OPTIONAL(64, 2, "npwg"),
    OPTIONAL(66, 2, "npwa"),
    OPTIONAL(68, 2, "npdg"),
    OPTIONAL(70, 2, "npda"),
    OPTIONAL(72, 2, "nows"),
    NUMBER(74, 2, "mssrl"),
    NUMBER(76, 4, "mcl"),
    NUMBER(80, 1, "msrc"),
    NUMBER(82, 1, "nulbaf"),
    NUMBER(92, 4, "anagrpid"),
    NUMBER(99, 1, "nsattr"),
    NUMBER(100, 2, "nvmsetid"),
    NUMBER(102, 2, "endgid"),
    FIELD(104, 16, "nguid", NULL, PAGE_BYTES),
    FIELD(120, 8, "eui64", NULL, PAGE_BYTES),
};
const struct page_table page_namespace = TABLE(namespace_fields);

static const struct page_field format_fields[] = {
    NUMBER(0, 2, "ms"),
    NUMBER(2, 1, "ds"),
    PART(3, 1, "rp", 0, 2, PAGE_DECIMAL),
};
const struct page_table page_format = TABLE(format_fields);

static const struct page_field smart_fields[] = {
    FIELD(0, 1, "critical_warning", NULL, PAGE_HEX),
    FIELD(1, 2, "temperature", NULL, PAGE_KELVIN),
    FIELD(3, 1, "avail_spare", "available_spare", PAGE_PERCENT),
    FIELD(4, 1, "spare_thresh", "available_spare_threshold", PAGE_PERCENT),
    FIELD(5, 1, "percent_used", "percentage_used", PAGE_PERCENT),
    FIELD(6, 1, "endurance_grp_critical_warning_summary",
          "endurance group critical warning summary", PAGE_HEX),
    FIELD(32, 16, "data_units_read", "Data Units Read", PAGE_UNITS),
    FIELD(48, 16, "data_units_written", "Data Units Written", PAGE_UNITS),
    NUMBER(64, 16, "host_read_commands"),
    NUMBER(80, 16, "host_write_commands"),
    NUMBER(96, 16, "controller_busy_time"),
    NUMBER(112, 16, "power_cycles"),
    NUMBER(128, 16, "power_on_hours"),
    NUMBER(144, 16, "unsafe_shutdowns"),
    NUMBER(160, 16, "media_errors"),
    NUMBER(176, 16, "num_err_log_entries"),
    FIELD(192, 4, "warning_temp_time", "Warning Temperature Time", PAGE_DECIMAL),
    FIELD(196, 4, "critical_comp_time", "Critical Composite Temperature Time", PAGE_DECIMAL),
#define SENSOR(number)                                                                             \
    {                                                                                              \
        .name = "temperature_sensor_" #number, .label = "Temperature Sensor " #number,             \
        .offset = 198 + 2 * (number), .size = 2, .kind = PAGE_KELVIN, .optional = true             \
    }
    SENSOR(1),
    SENSOR(2),
    SENSOR(3),
    SENSOR(4),
    SENSOR(5),
    SENSOR(6),
    SENSOR(7),
    SENSOR(8),
    FIELD(216, 4, "thm_temp1_trans_count", "Thermal Management T1 Trans Count", PAGE_DECIMAL),
    FIELD(220, 4, "thm_temp2_trans_count", "Thermal Management T2 Trans Count", PAGE_DECIMAL),
    FIELD(224, 4, "thm_temp1_total_time", "Thermal Management T1 Total Time", PAGE_DECIMAL),
    FIELD(228, 4, "thm_temp2_total_time", "Thermal Management T2 Total Time", PAGE_DECIMAL),
};
const struct page_table page_smart = TABLE(smart_fields);

static const struct page_field error_fields[] = {
    NUMBER(0, 8, "error_count"),
    NUMBER(8, 2, "sqid"),
    FIELD(10, 2, "cmdid", NULL, PAGE_HEX),
    PART(12, 2, "status_field", 1, 15, PAGE_STATUS),
    PART(12, 2, "phase_tag", 0, 1, PAGE_HEX),
    FIELD(14, 2, "parm_error_location", "parm_err_loc", PAGE_HEX),
    FIELD(16, 8, "lba", NULL, PAGE_HEX),
    FIELD(24, 4, "nsid", NULL, PAGE_HEX),
    NUMBER(28, 1, "vs"),
    FIELD(29, 1, "trtype", NULL, PAGE_HEX),
    NUMBER(30, 1, "csi"),
    FIELD(31, 1, "opcode", NULL, PAGE_HEX),
    FIELD(32, 8, "cs", NULL, PAGE_HEX),
    FIELD(40, 2, "trtype_spec_info", NULL, PAGE_HEX),
    NUMBER(63, 1, "log_page_version"),
};
const struct page_table page_error = TABLE(error_fields);
