// Passkeys: asks the gateway what to ask the device, and sends what the device says. Nothing is written as HTML.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

async function post(path, value) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Reef": "1" },
    body: JSON.stringify(value),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

function answered(credential) {
  const { response } = credential;
  const parts = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (response[name]) parts[name] = text(response[name]);
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response: parts };
}

async function logIn(button) {
  const options = await post("/login/passkey/options", {});
  const publicKey = { ...options, challenge: bytes(options.challenge) };
  const credential = await navigator.credentials.get({ publicKey });
  return post("/login/passkey", { answer: answered(credential), next: button.dataset.next });
}

async function make(button) {
  const options = await post(`${button.dataset.to}/passkey/options`, {});
  const credential = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: (options.excludeCredentials ?? []).map((one) => ({ ...one, id: bytes(one.id) })),
    },
  });
  const words = document.getElementById("words").value;
  return post(`${button.dataset.to}/passkey`, { answer: answered(credential), words });
}

function wire(id, act) {
  const button = document.getElementById(id);
  if (!button) return;
  button.addEventListener("click", async () => {
    const trouble = document.getElementById("trouble");
    trouble.hidden = true;
    button.disabled = true;
    try {
      window.location.replace((await act(button)).next);
    } catch (error) {
      // The device says no in words of its own making, which differ; the gateway in ours.
      trouble.textContent = error instanceof DOMException || !error.message ? button.dataset.trouble : error.message;
      trouble.hidden = false;
      button.disabled = false;
      button.focus();
    }
  });
}

if (window.PublicKeyCredential) {
  for (const id of ["passkey", "can-passkey"]) {
    const part = document.getElementById(id);
    if (part) part.hidden = false;
  }
  document.getElementById("no-passkeys").hidden = true;
}
wire("passkey", logIn);
wire("new-passkey", make);
