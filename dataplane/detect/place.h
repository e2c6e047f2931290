/* place: where addresses are. */
#ifndef REEF_PLACE_H
#define REEF_PLACE_H

typedef struct place_file place_file;

/* REEF_SYSTEM: the file cannot be read; REEF_FORMAT: it is no such file. */
int places_new(const char *path, place_file **out);
void places_free(place_file *places);

#endif
