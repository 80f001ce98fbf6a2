#include "control/offsite/xml.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

enum { DEPTH_LIMIT = 16, TEXT_LIMIT_BYTES = 1024 * 1024 };

struct reader {
    XML_Parser parser;
    mos_arena *arena;
    struct mos_xml *open[DEPTH_LIMIT];
    struct mos_xml *last[DEPTH_LIMIT];
    size_t depth;
    bool failed;
    struct mos_xml *root;
    // What was read of the innermost open element.
    struct mos_buffer text;
};

// Events that expat has begun still come.
static void stop(struct reader *reader) {
    reader->failed = true;
    XML_StopParser(reader->parser, XML_FALSE);
}

static void on_start(void *argument, const char *name, const char **attributes) {
    struct reader *reader = argument;
    struct mos_xml *element = reader->failed ? NULL : mos_arena_alloc(reader->arena, sizeof(*element));
    const char *colon = strrchr(name, ':');
    (void)attributes;
    if (!element || reader->depth == DEPTH_LIMIT) {
        stop(reader);
        return;
    }
    element->name = mos_arena_strdup(reader->arena, colon ? colon + 1 : name);
    element->text = "";
    if (!element->name) {
        stop(reader);
        return;
    }
    if (reader->depth == 0) {
        reader->root = element;
    } else if (reader->last[reader->depth - 1]) {
        reader->last[reader->depth - 1]->next = element;
    } else {
        reader->open[reader->depth - 1]->first = element;
    }
    if (reader->depth > 0) {
        reader->last[reader->depth - 1] = element;
    }
    reader->open[reader->depth] = element;
    reader->last[reader->depth] = NULL;
    reader->depth++;
    mos_buffer_clear(&reader->text);
}

static void on_text(void *argument, const char *text, int length) {
    struct reader *reader = argument;
    if (!reader->failed && !mos_buffer_append(&reader->text, text, (size_t)length)) {
        stop(reader);
    }
}

static void on_end(void *argument, const char *name) {
    struct reader *reader = argument;
    (void)name;
    if (reader->failed) {
        return;
    }
    struct mos_xml *element = reader->open[--reader->depth];
    // The spaces between elements are nobody's text.
    if (!element->first) {
        element->text = mos_arena_strdup(reader->arena, mos_buffer_text(&reader->text));
        if (!element->text) {
            element->text = "";
            stop(reader);
        }
    }
    mos_buffer_clear(&reader->text);
}

static void on_doctype(void *argument, const char *name, const char *system, const char *public_id, int internal) {
    (void)name;
    (void)system;
    (void)public_id;
    (void)internal;
    stop(argument);
}

const struct mos_xml *mos_xml_parse(mos_arena *arena, const void *text, size_t size_bytes) {
    struct reader reader = {.arena = arena, .parser = XML_ParserCreate("UTF-8"), .text = MOS_BUFFER_INIT(TEXT_LIMIT_BYTES)};
    if (!reader.parser) {
        return NULL;
    }
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, on_doctype);
    bool good = size_bytes > 0 && size_bytes < INT32_MAX && XML_Parse(reader.parser, text, (int)size_bytes, XML_TRUE) == XML_STATUS_OK &&
                !reader.failed;
    XML_ParserFree(reader.parser);
    mos_buffer_free(&reader.text);
    return good ? reader.root : NULL;
}

const struct mos_xml *mos_xml_next(const struct mos_xml *xml, const char *name) {
    for (xml = xml ? xml->next : NULL; xml; xml = xml->next) {
        if (strcmp(xml->name, name) == 0) {
            return xml;
        }
    }
    return NULL;
}

const struct mos_xml *mos_xml_child(const struct mos_xml *xml, const char *name) {
    if (!xml || !xml->first) {
        return NULL;
    }
    return strcmp(xml->first->name, name) == 0 ? xml->first : mos_xml_next(xml->first, name);
}

const char *mos_xml_text(const struct mos_xml *xml, const char *name) {
    const struct mos_xml *child = mos_xml_child(xml, name);
    return child ? child->text : "";
}
