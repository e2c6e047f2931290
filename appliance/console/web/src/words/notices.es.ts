// Las palabras de los avisos a los responsables.
import type { noticesEn } from "./notices.en.ts";

export const noticesEs: typeof noticesEn = {
  notices: {
    title: "Avisos",
    kind: "Qué pasó",
    what: "En palabras",
    about: "Sobre",
    owner: "Responsable",
    told: "Avisado",
    everybody: "Los de todos los responsables",
    see: (count) => (count === 1 ? "He visto el nuevo" : `He visto los ${count} nuevos`),
    unseen: (count) => (count === 1 ? "1 aviso nuevo sobre lo suyo" : `${count} avisos nuevos sobre lo suyo`),
    none: "Nada que avisar",
    noneWords: "Aquí se avisa cuando algo suyo termina, espera revisión, va a cambiar o cambió.",
    kinds: {
      expires: "termina pronto",
      ended: "ha terminado",
      review: "por revisar",
      proposed: "por cambiar",
      applied: "cambiado",
      "rolled-back": "revertido",
    },
  },
};
