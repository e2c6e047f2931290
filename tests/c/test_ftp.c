#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

static void commands_and_replies(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 21);
    say(&c, S, "220 (vsFTPd 3)\r\n");
    say(&c, C, "USER ann\r\nTYPE I\r\n");
    say(&c, S, "331-pass\r\n331 please\r\n200 ok\r\n");
    CHECK_TEXT(c.call.session->protocol->name, "ftp");
    CHECK_TEXT(heard(&c), "\"completion_code\":[\"220\"],\"reply\":[\"(vsFTPd 3)\"],\"reply_received\":\"yes\",\"reply_truncated\":false complete\n"
                          "\"command\":\"USER\",\"command_data\":\"ann\",\"command_truncated\":false,\"completion_code\":[\"331\"],\"reply\":[\"pass\"],"
                          "\"reply_received\":\"yes\",\"reply_truncated\":false complete\n"
                          "\"command\":\"TYPE\",\"command_data\":\"I\",\"command_truncated\":false,\"completion_code\":[\"331\",\"200\"],\"reply\":"
                          "[\"please\",\"ok\"],\"reply_received\":\"yes\",\"reply_truncated\":false complete\n");
    CHECK_TEXT(buffer_of(&c, 1, C, REEF_BUFFER_FTP_COMMAND_DATA, 0), "ann");
    CHECK_TEXT(buffer_of(&c, 2, S, REEF_BUFFER_FTP_COMPLETION_CODE, 1), "200");
    part(&c);
}

/* The flow that the control channel announced, on the same worker. */
static void data_flow(conversation *control, conversation *data, bool from_server, uint16_t port)
{
    converse(data, NULL, REEF_PROTO_TCP, port);
    if (from_server) {
        data->flow.client_is_high = 1;
        data->flow.key.low_port = port;
        data->flow.key.high_port = 20;
    }
    data->call.expectations = control->expectations;
    reef_expectations_meet(&data->call);
    CHECK(data->call.session->protocol != NULL);
    CHECK_TEXT(data->call.session->protocol->name, "ftp-data");
}

static void data_channels_are_expected(void)
{
    conversation c, d;
    converse(&c, "ftp", REEF_PROTO_TCP, 21);
    say(&c, C, "PASV\r\n"), say(&c, S, "227 Entering (10,0,0,2,4,1)\r\n"), say(&c, C, "RETR /a b.txt\r\n");
    data_flow(&c, &d, false, 1025);
    say(&d, S, "some bytes"), say_bytes(&d, S, NULL, 0, true);
    CHECK_TEXT(heard(&d), "\"filename\":\"/a b.txt\",\"command\":\"RETR\",\"files\":[{\"filename\":\"/a b.txt\",\"gaps\":false,\"state\":\"CLOSED\","
                          "\"stored\":false,\"size\":10,\"tx_id\":0}] complete\n");
    CHECK_TEXT(buffer_of(&d, 0, S, REEF_BUFFER_FILE_DATA, 0), "some bytes");
    CHECK(buffer_of(&d, 0, C, REEF_BUFFER_FILE_DATA, 0) == NULL);
    part(&d);
    say(&c, S, "226 done\r\n"), say(&c, C, "EPRT |1|10.0.0.1|5000|\r\n"), say(&c, S, "200 ok\r\n"), say(&c, C, "STOR up\r\n");
    data_flow(&c, &d, true, 5000);
    say(&d, S, "x"), say_bytes(&d, S, NULL, 0, true);
    CHECK(strstr(heard(&d), "\"command\":\"STOR\"") != NULL && strstr(d.text, "\"size\":1,") != NULL);
    part(&d);
    part(&c);
}

static void long_lines_and_encryption(void)
{
    conversation c;
    char line[6000];
    memset(line, 'x', sizeof line);
    memcpy(line, "USER ", 5);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    converse(&c, "ftp", REEF_PROTO_TCP, 21);
    say_bytes(&c, C, line, sizeof line, false);
    memcpy(line, "331 ", 4);
    say_bytes(&c, S, line, sizeof line, false);
    CHECK(strstr(heard(&c), "request_command_too_long response_command_too_long complete\n") != NULL);
    CHECK_EQUAL(c.call.session->transactions, 1);
    say(&c, C, "AUTH TLS\r\n"), say(&c, S, "234 go\r\n");
    CHECK(c.call.session->flags & REEF_SESSION_CHANGING);
    part(&c);
}

int main(void)
{
    commands_and_replies();
    data_channels_are_expected();
    long_lines_and_encryption();
    return 0;
}
