#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "reef/status.h"
#include "reef/tx_file.h"

static const reef_body_limits limits = {.limit = 1000, .minimal = 100, .window = 40};

static reef_view text(const char *t) { return (reef_view){(const uint8_t *)t, (uint32_t)strlen(t)}; }

static void windows_come_when_there_is_enough(void)
{
    reef_memory *memory;
    CHECK_EQUAL(reef_memory_new(1 << 20, &memory), REEF_OK);
    uint8_t data[2000];
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    reef_body body = {0};
    reef_buffer out;
    CHECK(!reef_body_add(&body, memory, &limits, (reef_view){data, 60}));
    CHECK(!reef_body_window(&body, &limits, &out));
    CHECK(reef_body_add(&body, memory, &limits, (reef_view){data + 60, 60}));
    CHECK(reef_body_window(&body, &limits, &out) && out.offset == 0 && out.bytes.length == 120 && !out.end);
    reef_body_inspected(&body, memory, &limits);
    CHECK(!reef_body_add(&body, memory, &limits, (reef_view){data + 120, 30}));
    CHECK(reef_body_add(&body, memory, &limits, (reef_view){data + 150, 30}));
    CHECK(reef_body_window(&body, &limits, &out) && out.offset == 110 && out.bytes.length == 70);
    CHECK_EQUAL(out.bytes.data[0], 110);
    reef_body_inspected(&body, memory, &limits);
    CHECK(reef_body_add(&body, memory, &limits, (reef_view){data + 180, 1800}));
    CHECK(reef_body_window(&body, &limits, &out) && out.offset == 170 && out.offset + out.bytes.length == 1000);
    reef_body_inspected(&body, memory, &limits);
    CHECK(body.data == NULL && body.size == 1980);
    CHECK(!reef_body_add(&body, memory, &limits, (reef_view){data, 20}) && body.size == 2000 && body.data == NULL);
    CHECK(!reef_body_end(&body, &limits));
    reef_body_free(&body, memory);
    reef_memory_free(memory);
}

static void a_short_body_is_one_window_with_its_hole(void)
{
    reef_memory *memory;
    CHECK_EQUAL(reef_memory_new(1 << 20, &memory), REEF_OK);
    reef_body body = {0};
    reef_buffer out;
    CHECK(!reef_body_add(&body, memory, &limits, text("abc")));
    CHECK(!reef_body_gap(&body, memory, &limits, 2));
    CHECK(!reef_body_add(&body, memory, &limits, text("def")));
    CHECK(reef_body_end(&body, &limits));
    CHECK(reef_body_window(&body, &limits, &out) && out.end && out.bytes.length == 8);
    CHECK(memcmp(out.bytes.data, "abc\0\0def", 8) == 0);
    reef_body_inspected(&body, memory, &limits);
    CHECK(reef_body_window(&body, &limits, &out) && out.bytes.length == 8); /* for rules that wait for something else */
    reef_body_free(&body, memory);
    reef_memory_counters counters;
    reef_memory_count(memory, &counters);
    CHECK_EQUAL(counters.used, 0);
    reef_memory_free(memory);
}

typedef struct bench { reef_call call; reef_transaction transaction; reef_tx_file *list; } bench;

static void begin(bench *b, reef_memory *memory, reef_files *files)
{
    *b = (bench){.call = {.memory = memory, .files = files}, .transaction = {.number = 3}};
    reef_arena_init(&b->transaction.arena, memory);
}

static void end(bench *b, reef_memory *memory)
{
    reef_tx_file_free_list(memory, b->list);
    reef_arena_free(&b->transaction.arena);
    reef_memory_counters counters;
    reef_memory_count(memory, &counters);
    CHECK_EQUAL(counters.used, 0);
}

static void digests_kind_and_store(void)
{
    reef_memory *memory;
    CHECK_EQUAL(reef_memory_new(1 << 20, &memory), REEF_OK);
    char folder[] = "/tmp/reef_files_XXXXXX", path[200];
    CHECK(mkdtemp(folder) != NULL);
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0);
    reef_filestore *store;
    CHECK_EQUAL(reef_filestore_new(directory, 0, 1000, &store), REEF_OK);
    reef_file_wants wants = {.data = true, .magic = true, .md5 = true, .sha1 = true, .sha256 = true, .store = true};
    reef_files *files;
    CHECK_EQUAL(reef_files_new(&wants, store, &files), REEF_OK);
    bench b;
    begin(&b, memory, files);
    reef_tx_file *file = reef_tx_file_begin(&b.call, &b.transaction, 0, &b.list, text("a.html"), &limits);
    CHECK(file != NULL);
    reef_tx_file_bytes(&b.call, &b.transaction, file, text("<html><body>"));
    reef_tx_file_bytes(&b.call, &b.transaction, file, text("x</body></html>\n"));
    reef_buffer out;
    CHECK(!reef_tx_file_buffer(b.list, REEF_BUFFER_FILE_MD5, 0, &out));
    reef_tx_file_end(&b.call, &b.transaction, file, REEF_TX_FILE_CLOSED);
    CHECK(b.transaction.files_ended && b.transaction.window[0] == 1);
    reef_tx_file_keep(b.list, 7), reef_tx_file_keep(b.list, 7);
    CHECK(reef_tx_file_buffer(b.list, REEF_BUFFER_FILE_MD5, 0, &out) && out.bytes.length == 16);
    CHECK(reef_tx_file_to_log(b.list, false) == file && reef_tx_file_to_log(b.list, true) == NULL);
    CHECK(!reef_tx_file_buffer(b.list, REEF_BUFFER_FILE_MD5, 0, &out)); /* rules look at what comes after */
    char json_text[2000] = "";
    reef_json json;
    reef_json_init(&json, json_text, sizeof json_text - 1);
    reef_tx_file_write(file, &json);
    json_text[reef_json_length(&json)] = 0;
    CHECK_TEXT(json_text, "\"filename\":\"a.html\",\"sid\":[7],\"magic\":\"HTML document, ASCII text\",\"gaps\":false,\"state\":\"CLOSED\","
                          "\"md5\":\"50b171ea73259856f3de74372a62d9ec\",\"sha1\":\"45358eab6b8f148ead427bba9ca1554bfe011956\","
                          "\"sha256\":\"8751cd50e4b00397b86975fc242935fe3a15015dc1ff1d23611066d19371bd07\",\"stored\":true,\"size\":28,\"tx_id\":3");
    (void)snprintf(path, sizeof path, "%s/87/8751cd50e4b00397b86975fc242935fe3a15015dc1ff1d23611066d19371bd07", folder);
    struct stat status;
    CHECK(stat(path, &status) == 0 && status.st_size == 28);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/87", folder);
    CHECK(rmdir(path) == 0);
    (void)snprintf(path, sizeof path, "%s/tmp", folder);
    CHECK(rmdir(path) == 0 && rmdir(folder) == 0); /* nothing else is left in the store */
    end(&b, memory);
    reef_files_free(files);
    reef_filestore_free(store);
    close(directory);
    reef_memory_free(memory);
}

int main(void)
{
    windows_come_when_there_is_enough();
    a_short_body_is_one_window_with_its_hole();
    digests_kind_and_store();
    return 0;
}
