/* Every bound of the dataplane. A number that limits something stands here and nowhere else. */
#ifndef REEF_LIMITS_H
#define REEF_LIMITS_H

/* Packets and decoding. */
#define REEF_FRAME_MAX 262144u        /* longest frame a capture may hand over (libpcap's MAXIMUM_SNAPLEN) */
#define REEF_LAYERS_MAX 16            /* headers walked in one packet: link, tags, tunnels, extension headers */
#define REEF_VLAN_MAX 3               /* VLAN tags kept; a further one is the event vlan.too_many_layers */
#define REEF_IPV6_EXTENSIONS_MAX 32   /* extension headers walked before the packet is called malformed */
#define REEF_DEFRAG_DATAGRAMS_DEFAULT 65535u /* being put together at a time */
#define REEF_DEFRAG_FRAGMENTS_DEFAULT 65535u /* held, of all of them */
#define REEF_DEFRAG_DATAGRAM_FRAGMENTS_MAX 8192u /* of one: those of eight bytes each */
#define REEF_DECODE_EVENTS_MAX 16       /* events kept of one packet; the first ones are the telling ones */

/* Flows. */
#define REEF_FLOWS_DEFAULT 131072u
#define REEF_FLOWS_MAX 16777216u
#define REEF_WHEEL_SLOTS 1024u        /* seconds the timer wheel spans; longer timeouts go round again */
#define REEF_CLOCK_BACK_MAX 60u       /* seconds packet time may run behind before the wheel is set anew ... */
#define REEF_CLOCK_BACK_PACKETS 8u    /* ... once it has done so this often in a row */

/* Streams. */
#define REEF_TCP_DEPTH_DEFAULT (1u << 20)  /* bytes of one direction that are put in order */
#define REEF_TCP_RAW_CHUNK_DEFAULT 2560u   /* bytes that stream rules wait for */
#define REEF_TCP_RAW_TAIL 128u             /* bytes in front of them that are looked at once more */
#define REEF_TCP_PIECES_MAX 2048u          /* segments of one direction that wait for an earlier one */
#define REEF_TCP_OFFERS_MAX 5u             /* answers to one SYN, or SYNs, that differ */

/* Application layer. */
#define REEF_DNS_NAME_MAX 256         /* RFC 1035 3.1: 255 octets and the end */
#define REEF_DNS_JUMPS_MAX 32         /* compression pointers followed in one name */
#define REEF_DNS_RECORDS_MAX 32       /* records of one message that are reported */
#define REEF_TLS_ALPN_MAX 8
#define REEF_TLS_MESSAGE_MAX 131072u   /* bytes of one handshake message; longer ones are passed over */
#define REEF_TLS_HELLOS_MAX 8          /* of one side that are read */
#define REEF_TLS_TEXT_MAX 2048u        /* bytes of one value that are written */
#define REEF_HTTP_FIELD_MAX 2048      /* bytes of one value that are reported */
#define REEF_APP_TRANSACTIONS_MAX 1024 /* transactions reported of one flow */

/* Inspection. */
#define REEF_MEMORY_DEFAULT (256ull << 20) /* bytes one worker keeps of conversations */
#define REEF_EXPECTATIONS_MAX 4096u
#define REEF_ALERTS_DEFAULT 15u       /* of one packet: Suricata's packet-alert-max */
#define REEF_PROFILES_MAX 4096u       /* of inspection, each with the directions that rules of the policy have */

/* Sessions. */
#define REEF_SESSION_HELD_MAX 16384u     /* first bytes of a direction held until its protocol is known */
#define REEF_TRANSACTIONS_OPEN_MAX 1024u /* of one session at a time */
#define REEF_EXPECT_COOKIE_MAX 160u
#define REEF_PDUS_MAX 64                 /* stretches for `frame` of one session at a time */
#define REEF_PDU_LOOKS_MAX 16            /* of rules at one that grows, before the last one when it is whole */
#define REEF_PDU_MATCHES_MAX 8           /* rules that match one */
#define REEF_PDU_BYTES_MAX (1u << 17)    /* of one that are kept: a write of SMB is 64 KiB and its header */
#define REEF_EXPECTATIONS_DEFAULT 4096u
#define REEF_EXPECT_SECONDS 30u          /* an expected flow begins within */

#define REEF_MQTT_MESSAGE_MAX (1u << 20) /* a longer one is skipped */
#define REEF_MQTT_MESSAGES_MAX 16     /* of one transaction */
#define REEF_MQTT_OPEN_MAX 1024       /* transactions that wait for an answer */
#define REEF_MQTT_TOPICS_MAX 100      /* of one message that are looked at */
#define REEF_MQTT_TEXT_MAX 1024       /* bytes of one text that are reported */

#define REEF_IKE_PAYLOADS_MAX 64      /* of one message that are looked at */
#define REEF_IKE_TRANSFORMS_MAX 32    /* of one message that are kept */
#define REEF_IKE_ATTRIBUTES_MAX 12    /* of one transform */
#define REEF_IKE_VENDOR_MAX 256       /* bytes of a vendor id */
#define REEF_IKE_HEX_MAX 1024         /* bytes of a key exchange or nonce that are reported */

#define REEF_SNMP_VARIABLES_MAX 32    /* of one message that are reported */
#define REEF_SNMP_OID_TEXT_MAX 512
#define REEF_SNMP_TEXT_MAX 256        /* bytes of a community or user that are reported */
#define REEF_KRB5_RECORD_MAX 16384u   /* bytes of one message on TCP */
#define REEF_KRB5_NAME_MAX 512        /* bytes of one name that are reported */

#define REEF_TELNET_LINE_MAX 4096     /* bytes of a line that is waited for */

/* Events. */
#define REEF_EVENTS_DEFAULT 32768u
#define REEF_EVENTS_MAX 4194304u
#define REEF_PAYLOAD_DEFAULT (16u << 20) /* bytes of the ring that carries the events' texts */
#define REEF_EVENTS_TURN 1024u           /* events, or bytes of their texts, after which a reader has its turn */
#define REEF_EVENTS_TURN_BYTES (256u << 10)
#define REEF_PACKET_EVENTS_MAX (REEF_DECODE_EVENTS_MAX + 4) /* events one packet may cause */
#define REEF_EVENT_TEXT_MAX 16384u       /* bytes of text one event may carry */
#define REEF_EVE_LINE_MAX 32768u         /* one line of EVE JSON, with its newline */

/* Names given to numbers when events are written. */
#define REEF_NAME_MAX 128
#define REEF_INTERFACES_MAX 4096
#define REEF_RULES_MAX 262144         /* 18 bits of the conntrack mark */
#define REEF_PREFIX_MAX 128           /* nft's log prefix: NF_LOG_PREFIXLEN */
#define REEF_PREFIXES_MAX 65536

/* What the detections are fed with. */
#define REEF_FEED_MAX (64u << 20)     /* bytes that wait for their reader */
#define REEF_FEED_GOES_ON 4096u       /* packets of a conversation between two records of it; a power of two */
#define REEF_NEIGHBOURS_MAX 8192u     /* devices that are remembered as told of */
#define REEF_NEIGHBOUR_NAME_MAX 63u   /* bytes of what it says it is called */
#define REEF_NEIGHBOURS_TOLD_MAX 256u /* in one second */
#define REEF_NEIGHBOUR_AGAIN_S 300u   /* seconds until one that goes on showing itself is told again */

/* The flow log. */
#define REEF_FLOW_ROWS_MAX 1048576u   /* rows of one table, and of one block */
#define REEF_FLOW_NAMES_MAX 65536u    /* zones and rules that one block names */
#define REEF_CLASSIFY_BYTES_MAX (1u << 30) /* bits of one axis of one zone pair */
#define REEF_CHANGES_MAX 65536u       /* kinds of difference that one replay tells apart */
#define REEF_DETAILS_MAX 131072u     /* services and addresses that are counted within them */

/* Capture. */
#define REEF_PCAPNG_INTERFACES_MAX 256
#define REEF_BATCH_MAX 256            /* frames handed to a worker at once */
#define REEF_NETLINK_BUFFER 131072

/* Inline. */
#define REEF_QUEUES_MAX 8u             /* of the kernel, that one socket holds */
#define REEF_QUEUE_PACKETS 4096u       /* that wait in one of them */
#define REEF_QUEUE_RECEIVE_BYTES (64 << 20) /* of them that wait to be received, as the kernel counts */
#define REEF_LANE_PACKETS 256u         /* between the holder of a queue and its worker; a power of two */
#define REEF_LANE_SLOT 66112u          /* one of them: 64 KiB and what netlink says about it; an odd number of cache lines */
#define REEF_LANE_BATCH 32u            /* received at once */
#define REEF_LANE_SILENCE_MS 100u      /* that packets wait for a worker before the holder decides by itself */
#define REEF_CLAIMS (1u << 18)         /* conversations that lanes judge and taps leave out; a power of two */
#define REEF_CLAIM_PACKETS 8u          /* of a conversation at which a tap looks whether it is claimed */
#define REEF_INLINE_DEPTH (1u << 20)   /* bytes of one direction that are looked at inline */


/* Rules. */
#define REEF_EXPRESSION_STEPS_MAX 3500u /* pcre: as Suricata's match-limit */
#define REEF_EXPRESSION_DEPTH_MAX 1500u /* and match-limit-recursion */
#define REEF_INSPECT_STEPS_MAX 3000u    /* conditions tried of one block over one buffer */
#define REEF_INSPECT_BYTES_MAX (1u << 20) /* bytes that one block may search before its rule owes for it */
#define REEF_RULE_DEBT_MAX 1000u        /* limits that a rule may run into */
#define REEF_RULE_DEBT_NS 10000000000u  /* within this time of packets; then it rests */
#define REEF_RULE_REST_NS 60000000000u  /* this long */
#define REEF_GROUPS_MAX 256u            /* of flows alike, in one worker */
#define REEF_GROUP_SCANNERS_MAX 1024u
#define REEF_GROUP_LISTS_MAX 4096u
#define REEF_GROUP_BYTES_MAX (16u << 20) /* what these take; beyond, flows of new groups are looked at with all rules */
#define REEF_GROUPS_REST_NS 60000000000u /* this long; then the groups are made anew */
#define REEF_ALERTS_MAX 15u             /* of one packet */
#define REEF_HOST_ENTRIES_MAX 65536u    /* of xbits, hostbits, thresholds and tags each, in one worker */
#define REEF_KEPT_STREAM_MAX 65536u     /* bytes of the stream that rules of transactions look at once more */
#define REEF_DECODED_MAX 65536u         /* bytes of a transformed or base64-decoded buffer */

/* Box algebra. */
#define REEF_SPACE_RULES_MAX 262144u  /* both lists of a comparison together */
#define REEF_SPACE_BOXES_MAX 4194304u
#define REEF_RULE_BOXES_MAX 65536u    /* of one row; a row of more is one box of which nothing is claimed */
#define REEF_PIECES_MAX 262144u       /* pieces of one question that wait */
#define REEF_PARTS_MAX 262144u        /* parts of one answer */
#define REEF_SOIL_STEPS_MAX 50000000u /* of looking what an edit touches; then all is proven again */
#define REEF_FINDINGS_MAX 1048576u
#define REEF_OTHERS_MAX 16            /* rules named in one finding */

/* Files in transactions. */
#define REEF_TX_FILES_MAX 128         /* of one transaction and direction */
#define REEF_TX_FILE_SIDS_MAX 8       /* rules named in "fileinfo" */
#define REEF_FILE_NAME_MAX 2048u      /* bytes of a name that are kept */
#define REEF_FILE_MAGIC_BYTES 1024u   /* first bytes by which a file's kind is told */
#define REEF_FILE_MAGIC_TEXT_MAX 512u
#define REEF_EVIDENCE_FLOWS_MAX 64     /* conversations whose packets are written at once */
#define REEF_EVIDENCE_RING_MIN (1u << 16) /* bytes of frames that are remembered */
#define REEF_FILESTORE_OPEN_MAX 256   /* files that come at once into the store of one worker */

/* HTTP: Suricata's and libhtp's defaults. */
#define REEF_HTTP_LINE_MAX 18000u     /* bytes of one line that is spread over segments */
#define REEF_HTTP_HEAD_MAX (1u << 20) /* bytes of all header lines of a message */
#define REEF_HTTP_FOLDED_MAX 4096u    /* bytes of a field beyond which no further line is joined to it */
#define REEF_HTTP_HEADERS_MAX 1024u   /* different fields of one message */
#define REEF_HTTP_REPETITIONS_MAX 64u /* values that are joined to fields of the same name */
#define REEF_HTTP_TRANSACTIONS_MAX 512u /* of one connection at a time */
#define REEF_HTTP_BODY_MAX (100u << 10)
#define REEF_HTTP_LAYERS_MAX 2u       /* of content coding */
#define REEF_HTTP_BOMB_BYTES (1u << 20) /* decoded, and this many times what was sent: a bomb */
#define REEF_HTTP_BOMB_RATIO 2048u
#define REEF_HTTP_FILE_NAME_MAX 4096u
#define REEF_HTTP_BOUNDARY_MAX 200u
#define REEF_HTTP2_FRAME_MAX (1u << 17)  /* bytes of a frame that is not data */
#define REEF_HTTP2_FIELDS_MAX 1024    /* of one message */
#define REEF_HTTP2_TABLE_MAX (1u << 20) /* bytes of the table that fields are compressed with */
#define REEF_HTTP2_SETTINGS_MAX 6     /* numbers of RFC 9113 6.5.2 */
#define REEF_HTTP_PART_HEAD_MAX 4096u /* header bytes of one part of a form */

/* Mail. */
#define REEF_SMTP_LINE_MAX 4096u      /* of a command or reply; the rest of a longer line is passed over */
#define REEF_SMTP_COMMANDS_MAX 256    /* that wait for their reply */
#define REEF_SMTP_RECIPIENTS_MAX 256
#define REEF_FTP_LINE_MAX 4096u
#define REEF_FTP_REPLIES_MAX 128      /* lines of one reply that are kept */
#define REEF_FTP_TEXT_MAX 512u        /* bytes of one line that are reported */
#define REEF_MIME_DEPTH_MAX 16        /* parts within parts */
#define REEF_MIME_HEADER_MAX 2000u    /* bytes of one unfolded field (Suricata's header-value-depth) */
#define REEF_MIME_NAME_MAX 75u        /* of a field */
#define REEF_MIME_LINE_MAX 998u       /* RFC 5322 2.1.1 */
#define REEF_MIME_ENCODED_LINE_MAX 76u /* RFC 2045 6.7, 6.8 */
#define REEF_MIME_BOUNDARY_MAX 254u
#define REEF_MIME_FILENAME_MAX 255u
#define REEF_MIME_URL_MAX 1024u
#define REEF_MIME_URLS_MAX 64         /* of one message */

/* Voice and configuration of hosts. */
#define REEF_SIP_HEADER_MAX 16384u    /* of one message in a stream */
#define REEF_SIP_PROBE_MAX 512u       /* of a first line, while the protocol is not known */
#define REEF_SIP_TEXT_MAX 2048u       /* bytes of one text that are reported */
#define REEF_DHCP_LIST_MAX 16         /* addresses of one option that are reported */
#define REEF_DHCP_TEXT_MAX 255u

/* DCERPC and SMB. */
#define REEF_DCERPC_INTERFACES_MAX 256u /* bound in one connection */
#define REEF_DCERPC_STUB_MAX (1u << 20) /* bytes of one call and direction */
#define REEF_SMB_RECORD_MAX (1u << 17)  /* bytes of a message that is kept whole; of a longer one only file data is followed */
#define REEF_SMB_HEAD 512u              /* bytes of a longer one that are looked at */
#define REEF_SMB_OPEN_MAX 512u          /* trees and files open in one connection */
#define REEF_SMB_NAME_MAX 1024u         /* bytes of a name */

/* Bytes of both directions from which on a connection is one that carries much (reef/reactions.h). */
#define REEF_SHED_TRANSFER 65536u

#endif
