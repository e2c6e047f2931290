import "./look/tokens.css";
import "./look/page.css";
import { mount } from "svelte";
import App from "./frame/App.svelte";
import { wishes } from "./frame/wishes.svelte.ts";

await wishes.begin();
mount(App, { target: document.body });
