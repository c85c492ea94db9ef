// The analyst's page: liquidation curves, systemic importance as a band, the exposure matrix, alerts in time, coverage.

import * as api from './api.js'
import { timeline } from './alerts.js'
import { coverage } from './coverage.js'
import { curves } from './curves.js'
import { h } from './dom.js'
import { exposures } from './exposure.js'
import { ranking } from './ranking.js'
import * as states from './states.js'

const NO_ALERT = 'No alert is open and none was raised. The coverage says what is watched.'

/** Shows the page in `view` until `signal` aborts; returns what hears the stream's events. */
export async function systemicPage(view, signal) {
  const alerts = states.lazyCard(
    'alerts',
    'Alerts',
    'the alerts',
    () => api.alerts(signal),
    (document) => [states.partial(document.coverage), timeline(document.alerts, NO_ALERT)].flat(),
    { lines: 4 },
  )
  const cards = {
    curves: states.lazyCard('curves', 'Liquidation curves', 'the populations', () => api.curves(signal), curves, { lines: 12 }),
    exposure: states.lazyCard('exposure', 'Who is exposed to what', 'the exposures', () => api.graph(signal), exposures, { lines: 12 }),
    rank: states.lazyCard('rank', 'Systemic importance', 'the ranking', () => api.rank(signal), ranking, { lines: 12 }),
    alerts,
    coverage: states.lazyCard(
      'coverage',
      'Coverage',
      'the coverage',
      () => api.coverage(signal),
      (document) => coverage(document, signal),
      { lines: 4 },
    ),
  }
  view.replaceChildren(
    h(
      'div',
      { class: 'page' },
      h(
        'div',
        { class: 'heading' },
        h('h1', {}, 'Systemic'),
        h(
          'p',
          { class: 'soft' },
          'Whole protocols instead of one owner: what a fall would liquidate, whose failure would cost the others most, and what has begun.',
        ),
      ),
      h(
        'div',
        { class: 'columns' },
        h('div', { class: 'column' }, cards.curves.section, cards.exposure.section),
        h('div', { class: 'column' }, cards.rank.section, cards.alerts.section, cards.coverage.section),
      ),
    ),
  )
  await Promise.all(Object.values(cards).map((one) => one.start()))
  return (news) => {
    if (news.has('reset') || news.has('systemic')) Object.values(cards).forEach((one) => one.start())
    else if (news.has('alert')) alerts.start()
  }
}
