// Las palabras de la vista de inspección.
import type { inspectionEn } from "./inspection.en.ts";

export const inspectionEs: typeof inspectionEn = {
  inspection: {
    title: "Inspección",
    profiles: "Perfiles que las reglas nombran",
    noProfiles: "Ninguna regla hace inspeccionar sus conexiones",
    name: "Nombre",
    rules: "Reglas",
    unavailable: "Mientras falta la inspección",
    away: { "fail-open": "pasa", "fail-closed": "se detiene" },
    reactions: "Qué hacen las firmas",
    asWritten: "lo que ellas mismas dicen",
    suppressions: "Qué calla, y quién responde por ello",
    noSuppressions: "Ninguna firma está silenciada",
    id: "Id",
    signatures: "Firmas",
    where: "Dónde",
    everywhere: "en todas partes",
    onlyTold: "se avisa, nunca se detiene",
    owner: "Responsable",
    why: "Por qué",
    until: "Hasta",
    feeds: "De dónde vienen las firmas",
    noFeeds: "Todos los archivos de la carpeta de reglas de la pasarela",
    origin: "De",
    trial: (days: number) => `las nuevas solo avisan durante ${days} días`,
    refresh: (hours: number) => `se piden cada ${hours} h`,
  },
};
