import { mount } from 'svelte';
import App from './App.svelte';
import './lib/nav.svelte';

mount(App, { target: document.getElementById('app')! });
