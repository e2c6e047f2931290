"""What the pages say, in each language. Pure."""

from __future__ import annotations

import re

import msgspec

_LANGUAGE = re.compile(r"\s*([a-z]{2})(?:-[A-Za-z0-9-]+)?\s*(?:;\s*q=([01](?:\.\d{1,3})?))?\s*\Z", re.IGNORECASE)


class Words(msgspec.Struct, frozen=True):
    """Everything that is said; a language that lacked a word would not load."""

    language: str
    log_in: str
    of: str  # before the gateway's name
    with_passkey: str
    passkey_hint: str
    no_passkeys: str
    or_else: str
    with_passphrase: str
    login: str
    passphrase: str
    code: str
    code_hint: str
    enter: str
    with_certificate: str
    with_provider: str  # before the provider's name
    with_glass: str
    glass_hint: str
    glass_code: str
    lost: str
    lost_hint: str
    other_language: str
    out: str
    going: str
    go_on: str
    invited: str  # before the person's name
    invited_hint: str
    make_passkey: str
    make_hint: str
    passkey_name: str
    no_device: str
    app_hint: str
    app_key: str
    app_picture: str
    app_open: str
    new_passphrase: str
    new_hint: str
    again: str
    save: str
    nothing_here: str
    wrong: str
    wait: str  # {seconds}
    bad_passkey: str
    bad_certificate: str
    bad_provider: str
    bad_invitation: str
    short: str
    differ: str
    bad_code: str
    full: str
    away: str
    foreign: str

    def of_refusal(self, why: str, wait: float = 0.0) -> str:
        """What a refusal is called."""
        said = {
            "wrong": self.wrong, "passkey": self.bad_passkey, "certificate": self.bad_certificate,
            "provider": self.bad_provider, "invitation": self.bad_invitation, "short": self.short,
            "differ": self.differ, "code": self.bad_code, "full": self.full, "away": self.away,
            "foreign": self.foreign,
        }  # fmt: skip
        return self.wait.format(seconds=max(1, round(wait))) if why == "wait" else said.get(why, self.wrong)


EN = Words(
    language="en",
    log_in="Log in",
    of="Reef at",
    with_passkey="Log in with a passkey",
    passkey_hint="Your device asks for your finger, your face or its PIN. No name is needed.",
    no_passkeys="This browser has no passkeys, or scripts are off. Use another way below.",
    or_else="Other ways",
    with_passphrase="Passphrase and code",  # noqa: S106 - a word
    login="Name or mail address",
    passphrase="Passphrase",  # noqa: S106 - a word
    code="Code",
    code_hint="The six digits that your authenticator app shows now.",
    enter="Log in",
    with_certificate="Log in with your certificate",
    with_provider="Log in with",
    with_glass="Break the glass",
    glass_hint="For the day when nothing else works. It is told to everybody and lasts an hour.",
    glass_code="One-time code from paper",
    lost="I cannot get in",
    lost_hint="Ask an administrator, or whoever has a shell at the gateway, for a new link: reef console invite, and "
    "your name. It is good for a day and once.",
    other_language="Español",
    out="You are logged out.",
    going="You are logged in.",
    go_on="Go on",
    invited="Welcome,",
    invited_hint="This link is yours alone. Choose how you will log in; afterwards the link is used up.",
    make_passkey="Make a passkey",
    make_hint="Best: it cannot be guessed or stolen by a false page. It stays in your device or your key.",
    passkey_name="What to call it (for example: blue key)",
    no_device="My device has no passkeys: a passphrase and an app",
    app_hint="Show this picture to an authenticator app, or type its key there; then type the code it shows.",
    app_key="Key",
    app_picture="The key as a picture for the camera of an authenticator app",
    app_open="Open in the app on this device",
    new_passphrase="New passphrase",  # noqa: S106 - a word
    new_hint="At least 12 letters; several words are easy to remember. Your name must not be in it.",
    again="The passphrase again",
    save="Save and log in",
    nothing_here="This link is not good",
    wrong="That was not right. Look at name, passphrase and code; each code is good once.",
    wait="Too many tries from your address. Try again in {seconds} s.",
    bad_passkey="The passkey was not taken. Try again; if it stays so, ask for a new link.",
    bad_certificate="No certificate was shown that the policy knows.",
    bad_provider="The provider's answer was not taken. Try again; if it stays so, tell an administrator.",
    bad_invitation="The link was used, is older than a day, or there is a newer one. Ask for another.",
    short="The passphrase is too short (12 letters), too long (256), or has your name in it.",
    differ="The two passphrases differ.",
    bad_code="The code is not the one that the app should show now. Is the clock of the device right?",
    full="There is no room for one more, or this passkey is known already.",
    away="The gateway cannot do this now. Try again in a minute.",
    foreign="This was sent from another page and is not taken. Begin anew here.",
)

ES = Words(
    language="es",
    log_in="Iniciar sesión",
    of="Reef en",
    with_passkey="Entrar con una llave de acceso",
    passkey_hint="Su dispositivo pide la huella, la cara o su PIN. No hace falta ningún nombre.",
    no_passkeys="Este navegador no tiene llaves de acceso o los scripts están desactivados. Use otra forma.",
    or_else="Otras formas",
    with_passphrase="Frase de paso y código",  # noqa: S106 - a word
    login="Nombre o dirección de correo",
    passphrase="Frase de paso",  # noqa: S106 - a word
    code="Código",
    code_hint="Las seis cifras que muestra ahora su aplicación de autenticación.",
    enter="Entrar",
    with_certificate="Entrar con su certificado",
    with_provider="Entrar con",
    with_glass="Romper el cristal",
    glass_hint="Para el día en que nada más funciona. Se avisa a todos y dura una hora.",
    glass_code="Código de un solo uso, del papel",
    lost="No puedo entrar",
    lost_hint="Pida un enlace nuevo a un administrador o a quien tenga una consola en la pasarela: reef console "
    "invite, y su nombre. Vale un día y una sola vez.",
    other_language="English",
    out="Ha cerrado la sesión.",
    going="Ha iniciado la sesión.",
    go_on="Continuar",
    invited="Bienvenida, bienvenido:",
    invited_hint="Este enlace es solo suyo. Elija cómo va a entrar; después el enlace queda usado.",
    make_passkey="Crear una llave de acceso",
    make_hint="Lo mejor: no se puede adivinar ni robar con una página falsa. Se queda en su dispositivo o llave.",
    passkey_name="Cómo llamarla (por ejemplo: llave azul)",
    no_device="Mi dispositivo no tiene llaves de acceso: frase de paso y aplicación",
    app_hint="Muestre esta imagen a una aplicación de autenticación, o escriba allí la clave; luego, su código.",
    app_key="Clave",
    app_picture="La clave como imagen para la cámara de una aplicación de autenticación",
    app_open="Abrir en la aplicación de este dispositivo",
    new_passphrase="Nueva frase de paso",  # noqa: S106 - a word
    new_hint="Al menos 12 letras; varias palabras se recuerdan bien. Su nombre no debe estar en ella.",
    again="La frase de paso otra vez",
    save="Guardar y entrar",
    nothing_here="Este enlace no vale",
    wrong="No es correcto. Revise nombre, frase de paso y código; cada código vale una vez.",
    wait="Demasiados intentos desde su dirección. Inténtelo de nuevo en {seconds} s.",
    bad_passkey="La llave de acceso no fue aceptada. Inténtelo otra vez; si sigue igual, pida un enlace nuevo.",
    bad_certificate="No se mostró ningún certificado que la política conozca.",
    bad_provider="La respuesta del proveedor no fue aceptada. Inténtelo otra vez o avise a un administrador.",
    bad_invitation="El enlace ya se usó, tiene más de un día o hay otro más nuevo. Pida otro.",
    short="La frase de paso es demasiado corta (12 letras), demasiado larga (256) o contiene su nombre.",
    differ="Las dos frases de paso no son iguales.",
    bad_code="El código no es el que la aplicación debería mostrar ahora. ¿Está bien el reloj del dispositivo?",
    full="No hay sitio para otra, o esta llave ya es conocida.",
    away="La pasarela no puede hacerlo ahora. Inténtelo de nuevo en un minuto.",
    foreign="Esto se envió desde otra página y no se acepta. Empiece de nuevo aquí.",
)
LANGUAGES = {"en": EN, "es": ES}


def chosen(asked: str, accepted: str) -> Words:
    """The language that is asked for by name, or the one that a browser accepts most (RFC 9110, 12.5.4)."""
    if asked in LANGUAGES:
        return LANGUAGES[asked]
    best, found = 0.0, EN
    for part in accepted[:400].split(","):
        matched = _LANGUAGE.match(part)
        if matched is not None and matched[1].lower() in LANGUAGES:
            weight = float(matched[2] or 1)
            if weight > best:
                best, found = weight, LANGUAGES[matched[1].lower()]
    return found
