#include "control/rpc/client_address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_BITS = 128, MAPPED_BITS = 96 };

// IPv4 as IPv6 has it: ::ffff:a.b.c.d. `out_offset` is where the bits of an IPv4 address begin.
static bool read_address(const char *text, size_t size, struct in6_addr *out, unsigned *out_offset) {
    char copy[INET6_ADDRSTRLEN];
    struct in_addr four;
    *out_offset = 0;
    if (size == 0 || size >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (inet_pton(AF_INET6, copy, out) == 1) {
        return true;
    }
    if (inet_pton(AF_INET, copy, &four) != 1) {
        return false;
    }
    *out = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&out->s6_addr[MAPPED_BITS / 8], &four, sizeof(four));
    *out_offset = MAPPED_BITS;
    return true;
}

static bool within(const struct in6_addr *address, const struct in6_addr *network, unsigned bits) {
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(address, network, whole) == 0 && (rest == 0 || ((address->s6_addr[whole] ^ network->s6_addr[whole]) >> (8 - rest)) == 0);
}

static bool read_network(const char *text, size_t size, struct in6_addr *out, unsigned *out_bits) {
    const char *slash = memchr(text, '/', size);
    unsigned offset;
    if (!read_address(text, slash ? (size_t)(slash - text) : size, out, &offset)) {
        return false;
    }
    *out_bits = ADDRESS_BITS;
    if (!slash) {
        return true;
    }
    size_t digits = size - (size_t)(slash + 1 - text);
    if (digits == 0 || digits > 3 || strspn(slash + 1, "0123456789") < digits) {
        return false;
    }
    *out_bits = offset + (unsigned)strtoul(slash + 1, NULL, 10);
    return *out_bits <= ADDRESS_BITS;
}

// The next item of a comma separated list, without the spaces around it; NULL when there is none. Items may be empty.
static const char *next_item(const char **rest, size_t *out_size) {
    if (!*rest) {
        return NULL;
    }
    const char *begin = *rest + strspn(*rest, " ");
    const char *end = strchrnul(begin, ',');
    *rest = *end ? end + 1 : NULL;
    while (end > begin && end[-1] == ' ') {
        end--;
    }
    *out_size = (size_t)(end - begin);
    return begin;
}

mos_status mos_networks_check(const char *networks, struct mos_error *error) {
    size_t size;
    for (const char *rest = networks, *item = next_item(&rest, &size); item; item = next_item(&rest, &size)) {
        struct in6_addr network;
        unsigned bits;
        if (size > 0 && !read_network(item, size, &network, &bits)) {
            return mos_fail(error, MOS_INVALID_ARGUMENT,
                            "MOSAAJII_TRUSTED_PROXIES holds \"%.*s\"; allowed are addresses and networks, as 10.0.0.0/8", (int)size, item);
        }
    }
    return MOS_OK;
}

static bool in_networks(const struct in6_addr *address, const char *networks) {
    size_t size;
    for (const char *rest = networks, *item = next_item(&rest, &size); item; item = next_item(&rest, &size)) {
        struct in6_addr network;
        unsigned bits;
        if (read_network(item, size, &network, &bits) && within(address, &network, bits)) {
            return true;
        }
    }
    return false;
}

static void write_address(const struct in6_addr *address, struct mos_client_address *out) {
    bool four = IN6_IS_ADDR_V4MAPPED(address);
    const void *bytes = four ? &address->s6_addr[MAPPED_BITS / 8] : &address->s6_addr[0];
    if (!inet_ntop(four ? AF_INET : AF_INET6, bytes, out->text, sizeof(out->text))) {
        out->text[0] = '\0';
    }
}

struct mos_client_address mos_client_address_of(const char *peer, const char *told, const char *networks) {
    struct mos_client_address client = {0};
    struct in6_addr address, other;
    unsigned offset;
    bool bracketed = peer[0] == '[';
    const char *begin = peer + bracketed;
    const char *end = bracketed ? strchr(begin, ']') : strrchr(begin, ':');
    bool known = end && read_address(begin, (size_t)(end - begin), &address, &offset);
    bool here = known ? IN6_IS_ADDR_LOOPBACK(&address) || in_networks(&address, "127.0.0.0/8") : strncmp(peer, "unix:", 5) == 0;
    if (told && (here || (known && in_networks(&address, networks))) && read_address(told, strlen(told), &other, &offset)) {
        write_address(&other, &client);
    } else if (known) {
        write_address(&address, &client);
    }
    return client;
}
