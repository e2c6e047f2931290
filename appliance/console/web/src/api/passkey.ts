// Makes and shows passkeys with the person's device, in the JSON forms of WebAuthn level 3.

interface Described {
  id: string;
  type: "public-key";
}

/** What `navigator.credentials.create` is asked, as the gateway says it: bytes are base64url. */
export interface Options {
  challenge: string;
  rp: { id?: string; name: string };
  user: { id: string; name: string; displayName: string };
  pubKeyCredParams: PublicKeyCredentialParameters[];
  excludeCredentials?: Described[];
  authenticatorSelection?: AuthenticatorSelectionCriteria;
  timeout?: number;
  attestation?: AttestationConveyancePreference;
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

export function textOf(buffer: ArrayBuffer): string {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function asked(options: Options): PublicKeyCredentialCreationOptions {
  return {
    ...options,
    challenge: bytesOf(options.challenge),
    user: { ...options.user, id: bytesOf(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map((one) => ({ ...one, id: bytesOf(one.id) })),
  };
}

/** The device's answer, or null where the person or the device said no. */
export async function made(options: Options): Promise<Record<string, unknown> | null> {
  let credential: Credential | null;
  try {
    credential = await navigator.credentials.create({ publicKey: asked(options) });
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
  if (!(credential instanceof PublicKeyCredential)) return null;
  const response = credential.response as AuthenticatorAttestationResponse;
  return {
    id: credential.id,
    rawId: textOf(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: textOf(response.clientDataJSON),
      attestationObject: textOf(response.attestationObject),
    },
  };
}

/** What `navigator.credentials.get` is asked, as the gateway says it. */
export interface Request {
  challenge: string;
  rpId?: string;
  timeout?: number;
  userVerification?: UserVerificationRequirement;
}

/** What the device says to show that it is they, or null where the person or the device said no. */
export async function shown(request: Request): Promise<Record<string, unknown> | null> {
  let credential: Credential | null;
  try {
    credential = await navigator.credentials.get({
      publicKey: { ...request, challenge: bytesOf(request.challenge) },
    });
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
  if (!(credential instanceof PublicKeyCredential)) return null;
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    id: credential.id,
    rawId: textOf(credential.rawId),
    type: credential.type,
    response: {
      clientDataJSON: textOf(response.clientDataJSON),
      authenticatorData: textOf(response.authenticatorData),
      signature: textOf(response.signature),
      ...(response.userHandle ? { userHandle: textOf(response.userHandle) } : {}),
    },
  };
}
