import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, bytesOf, textOf } from "./passkey.ts";

test("bytes and base64url are each other's inverse, whatever the length", () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 37 + 250) % 256);
    const text = textOf(bytes.buffer);
    assert.match(text, /^[A-Za-z0-9_-]*$/);
    assert.deepEqual([...bytesOf(text)], [...bytes]);
  }
});

test("what the gateway says as text is asked of the device as bytes", () => {
  const found = asked({
    challenge: "AQID",
    rp: { id: "gateway.example", name: "Reef" },
    user: { id: "_-8", name: "amara", displayName: "Amara Diaz" },
    pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    excludeCredentials: [{ id: "BAUG", type: "public-key" }],
  });
  assert.deepEqual([...(found.challenge as Uint8Array)], [1, 2, 3]);
  assert.deepEqual([...(found.user.id as Uint8Array)], [255, 239]);
  assert.deepEqual([...(found.excludeCredentials?.[0]?.id as Uint8Array)], [4, 5, 6]);
});
