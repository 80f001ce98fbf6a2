// A strict reader of the small XML that object stores answer with, by expat: no document types, so no entities of anybody's own and nothing
// from elsewhere; no deep nesting.
#ifndef MOS_CONTROL_OFFSITE_XML_H
#define MOS_CONTROL_OFFSITE_XML_H

#include <stddef.h>

#include "common/arena.h"

struct mos_xml {
    // Without a namespace.
    const char *name;
    // What stands directly in it.
    const char *text;
    struct mos_xml *first;
    struct mos_xml *next;
};

// NULL where the text is no such XML. Lives in the arena.
const struct mos_xml *mos_xml_parse(mos_arena *arena, const void *text, size_t size_bytes);
// The first child of that name; NULL where there is none, or `xml` is NULL.
const struct mos_xml *mos_xml_child(const struct mos_xml *xml, const char *name);
// The next sibling of that name.
const struct mos_xml *mos_xml_next(const struct mos_xml *xml, const char *name);
// The text of the child of that name; "" where there is none.
const char *mos_xml_text(const struct mos_xml *xml, const char *name);

#endif
