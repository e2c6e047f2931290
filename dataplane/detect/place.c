/* place: the country of an address, from a file in MaxMind's format. */
#include <arpa/inet.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "match_internal.h"
#include "place.h"
#include "reef/status.h"

struct place_file {
    MMDB_s file;
};

int places_new(const char *path, place_file **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return REEF_NOMEM;
    int status = MMDB_open(path, MMDB_MODE_MMAP, &(*out)->file);
    if (status == MMDB_SUCCESS)
        return REEF_OK;
    free(*out);
    *out = NULL;
    return status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR ? REEF_SYSTEM : REEF_FORMAT;
}

void places_free(place_file *places)
{
    if (places == NULL)
        return;
    MMDB_close(&places->file);
    free(places);
}

static bool country_of(const place_file *places, unsigned version, const uint8_t *address, char out[2])
{
    struct sockaddr_in of4 = {.sin_family = AF_INET};
    struct sockaddr_in6 of6 = {.sin6_family = AF_INET6};
    const struct sockaddr *socket = version == 4 ? (const struct sockaddr *)&of4 : (const struct sockaddr *)&of6;
    int error = 0;
    MMDB_entry_data_s data;
    memcpy(version == 4 ? (void *)&of4.sin_addr : (void *)&of6.sin6_addr, address, version == 4 ? 4 : 16);
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr((MMDB_s *)(uintptr_t)&places->file, socket, &error);
    if (error != MMDB_SUCCESS || !found.found_entry)
        return false;
    if (MMDB_get_value(&found.entry, &data, "country", "iso_code", NULL) != MMDB_SUCCESS || !data.has_data || data.data_size != 2)
        return false;
    memcpy(out, data.utf8_string, 2);
    return true;
}

static const place_file *places_of(const reef_matcher *matcher)
{
    return matcher->rules->places != NULL ? matcher->rules->places : matcher->places;
}

static bool is_of(const reef_matcher *matcher, const reef_condition *condition, const uint8_t *address)
{
    const char *codes = matcher->rules->text + condition->text.at;
    char country[2];
    if (!country_of(places_of(matcher), matcher->scene->packet->version, address, country))
        return false;
    for (uint32_t i = 0; i < condition->text.length; i += 2)
        if (memcmp(codes + i, country, 2) == 0)
            return !(condition->flags & REEF_C_NEGATED);
    return condition->flags & REEF_C_NEGATED;
}

bool geoip_condition(const reef_matcher *matcher, const reef_condition *condition)
{
    const reef_packet *packet = matcher->scene->packet;
    if (places_of(matcher) == NULL || packet->version == 0)
        return false;
    const uint8_t *source = matcher->turned ? packet->destination : packet->source;
    const uint8_t *destination = matcher->turned ? packet->source : packet->destination;
    switch (condition->base) {
    case 1: return is_of(matcher, condition, source);
    case 2: return is_of(matcher, condition, destination);
    case 4: return is_of(matcher, condition, source) && is_of(matcher, condition, destination);
    default: return is_of(matcher, condition, source) || is_of(matcher, condition, destination);
    }
}
