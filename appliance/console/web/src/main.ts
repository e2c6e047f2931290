import "./look/tokens.css";
import "./look/page.css";
import { mount } from "svelte";
import { watchHands } from "./api/attended.ts";
import App from "./frame/App.svelte";
import { wishes } from "./frame/wishes.svelte.ts";

watchHands(window);
await wishes.begin();
mount(App, { target: document.body });
