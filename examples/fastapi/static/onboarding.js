// The page on which a user enters API keys.  A key lives in its input until it is
// saved, and nowhere else: in no storage, no address, no console.

const byId = (id) => document.getElementById(id);

// Requests ------------------------------------------------------------------

async function request(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body ? { ...headers, 'Content-Type': 'application/json' } : headers,
      body: body && JSON.stringify(body),
      cache: 'no-store',
    });
  } catch {
    throw new Error('The server cannot be reached.');
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    throw new Error(answer?.detail ? [answer.detail, answer.hint].filter(Boolean).join('\n') : `The server answered ${response.status}.`);
  }
  return answer;
}

// The sign-in link has a token behind its #: it becomes a cookie and leaves the address.
async function signIn() {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, '', location.pathname);
  await request('POST', '/api/session', null, { Authorization: `Bearer ${token}` });
}

// What is wrong with a key's form, as far as its beginning can tell ------------

function warningFor(provider, key) {
  if (!key) return '';
  if (/\s/.test(key)) return 'Keys have no spaces or line breaks in them. Did you copy more than the key?';
  if (provider.key_prefixes.length === 0) return '';
  return provider.key_prefixes.some((prefix) => key.startsWith(prefix)) ? '' : `This does not look like a key of ${provider.display_name}. Formats change, so you can save it anyway.`;
}

// How the key is used ---------------------------------------------------------

const SAID = { rejected: 'The provider refused this key.', quota: 'The provider says that this key is out of quota.' };

function useOf(provider) {
  const used = provider.last_used_at && `Last used ${new Date(provider.last_used_at).toLocaleString()}.`;
  return [SAID[provider.last_outcome], used].filter(Boolean).join(' ');
}

// Cards -----------------------------------------------------------------------

function describe(card, provider) {
  const find = (selector) => card.querySelector(selector);
  find('.name').textContent = provider.display_name;
  const badge = find('.badge');
  badge.className = 'badge';
  badge.textContent = '';
  if (provider.configured) {
    const refused = provider.last_outcome === 'rejected';
    badge.textContent = refused ? 'Refused' : 'Saved';
    badge.classList.add(refused ? 'warn' : 'good');
  } else if (provider.missing) {
    const expired = provider.expires_at && new Date(provider.expires_at) <= new Date();
    badge.textContent = expired ? 'Expired' : provider.hint ? 'Enter again' : 'Missing';
    badge.classList.add('warn');
  }
  badge.title = provider.missing ?? '';
  find('.stored').hidden = !provider.configured;
  find('.use').textContent = useOf(provider);
  find('.use').hidden = !provider.configured || !useOf(provider);
  find('.masked').textContent = `••••••••${provider.hint ?? ''}`;
  find('.source').textContent = provider.source === 'dotenv' ? 'from the .env file' : '';
  find('.open').textContent = provider.configured ? 'Replace' : 'Add key';
  find('.open').setAttribute('aria-label', `${provider.configured ? 'Replace' : 'Add'} the ${provider.display_name} key`);
  find('.delete').hidden = !provider.configured;
  find('.delete').setAttribute('aria-label', `Delete the ${provider.display_name} key`);
  card.classList.toggle('needed', provider.required && !provider.configured);
}

function makeCard(provider) {
  const card = byId('card').content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  const form = find('form');
  const input = find('input');
  const save = find('.save');
  const reveal = find('.reveal');

  card.dataset.provider = provider.name;
  input.id = `key-${provider.name}`;
  form.querySelector('label').htmlFor = input.id;
  form.querySelector('label').textContent = `${provider.display_name} API key`;
  find('.warning').id = `warning-${provider.name}`;
  input.setAttribute('aria-describedby', `warning-${provider.name}`);
  if (provider.key_url) find('.where').href = provider.key_url;
  find('.where').hidden = !provider.key_url;
  find('.where').setAttribute('aria-label', `Get a ${provider.display_name} key (opens in a new tab)`);

  const close = () => {
    form.reset();
    check();
    show(false);
    form.hidden = true;
    find('.open').hidden = false;
  };
  const check = () => {
    const warning = warningFor(provider, input.value.trim());
    find('.warning').textContent = warning;
    save.textContent = warning ? 'Save anyway' : 'Save';
    save.disabled = !input.value.trim();
  };
  const show = (shown) => {
    input.classList.toggle('shown', shown);
    reveal.setAttribute('aria-pressed', shown);
    reveal.textContent = shown ? 'Hide' : 'Show';
  };

  find('.open').addEventListener('click', () => {
    form.hidden = false;
    find('.open').hidden = true;
    check();
    input.focus();
  });
  find('.cancel').addEventListener('click', () => {
    close();
    find('.open').focus();
  });
  input.addEventListener('input', check);
  reveal.addEventListener('click', () => show(reveal.getAttribute('aria-pressed') !== 'true'));

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!key) return;
    save.disabled = true;
    try {
      const { warnings } = await request('PUT', `/api/keys/${encodeURIComponent(provider.name)}`, { api_key: key });
      close();
      await refresh();
      find('.open').focus();
      tell([`${provider.display_name} key saved.`, ...warnings].join('\n'), warnings.length ? 'warn' : '');
    } catch (error) {
      tell(error.message, 'bad');
      save.disabled = false;
      input.focus();
    }
  });

  find('.delete').addEventListener('click', async () => {
    if (!(await confirmDelete(provider))) return;
    try {
      await request('DELETE', `/api/keys/${encodeURIComponent(provider.name)}`);
      await refresh();
      find('.open').focus();
      tell(`${provider.display_name} key deleted.`);
    } catch (error) {
      tell(error.message, 'bad');
    }
  });
  return card;
}

function confirmDelete(provider) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = `Delete your ${provider.display_name} key?`;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'delete'), { once: true });
  });
}

// The page --------------------------------------------------------------------

function tell(text, kind = '') {
  const message = byId('message');
  message.className = `message ${kind}`;
  message.textContent = text;
}

function group(category) {
  const id = `group-${category}`;
  if (byId(id)) return byId(id);
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const list = document.createElement('ul');
  summary.textContent = category;
  list.className = 'cards';
  list.id = id;
  details.append(summary, list);
  byId('more').append(details);
  return list;
}

async function refresh() {
  const { mode, providers } = await request('GET', '/api/onboarding');
  for (const provider of providers) {
    let card = document.querySelector(`[data-provider="${CSS.escape(provider.name)}"]`);
    if (!card) {
      card = makeCard(provider);
      const list = provider.required ? byId('required') : group(provider.category ?? 'other');
      list.append(card);
      if (provider.configured && !provider.required) list.parentElement.open = true;
    }
    describe(card, provider);
  }
  const required = providers.filter((provider) => provider.required);
  const saved = required.filter((provider) => provider.configured).length;
  byId('required-section').hidden = required.length === 0;
  byId('more-section').hidden = required.length === providers.length;
  byId('progress').hidden = required.length === 0;
  byId('progress').classList.toggle('done', saved === required.length);
  byId('bar').max = required.length;
  byId('bar').value = saved;
  byId('count').textContent = saved === required.length ? 'All set' : `${saved} of ${required.length} required keys`;
  byId('mode').hidden = mode !== 'development';
  document.body.dataset.ready = 'yes';
}

try {
  await signIn();
  await refresh();
} catch (error) {
  tell(error.message, 'bad');
}
