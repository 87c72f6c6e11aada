<?php
/**
 * Plugin Name: Volens
 * Description: Tells WordPress and its plugins what the visitor has agreed to: wp_has_consent() and the WP Consent API's names, from the header that Volens sends. For a site behind “volens proxy”.
 * Version: 0.1.0
 * Requires at least: 5.9
 * Requires PHP: 7.4
 * License: GPL v2 or later
 * License URI: https://www.gnu.org/licenses/gpl-2.0.html
 * SPDX-License-Identifier: GPL-2.0-or-later OR Apache-2.0
 *
 * One file: put it into wp-content/mu-plugins/, where it needs no activation, or into wp-content/plugins/.
 * It decides nothing and keeps nothing. The header can be believed because the proxy drops what a visitor sends under
 * that name; so let WordPress listen where only the proxy reaches it. No header, or one that cannot be read: nothing is granted.
 */

defined( 'ABSPATH' ) || exit;

/** Where Volens answers: define it in wp-config.php as volens.toml has it under “prefix”. */
defined( 'VOLENS_PREFIX' ) || define( 'VOLENS_PREFIX', '/_volens/' );

/**
 * The names a Volens-Consent header grants: its RFC 9651 dictionary (§3.2), of Booleans without parameters, as Volens
 * writes it. The last of two equal names counts. Anything else grants nothing.
 *
 * @return array<string, true>
 */
function volens_granted( string $header ): array {
	$granted = array();
	if ( '' === $header || strlen( $header ) > 8192 ) {
		return $granted;
	}
	foreach ( explode( ',', $header ) as $member ) {
		if ( ! preg_match( '/^[ \t]*([a-z][a-z0-9-]*)(?:=\?([01]))?[ \t]*$/D', $member, $found ) ) {
			return array();
		}
		if ( '0' === ( $found[2] ?? '1' ) ) {
			unset( $granted[ $found[1] ] );
		} else {
			$granted[ $found[1] ] = true;
		}
	}
	return $granted;
}

/**
 * The purposes of the notice that stand behind each category of the WP Consent API. A category is granted where all of
 * its purposes are. Change it with the filter “volens_categories” where volens.toml has other purposes.
 *
 * @return array<string, string[]>
 */
function volens_categories(): array {
	return (array) apply_filters(
		'volens_categories',
		array(
			'functional'           => array( 'technique' ),
			'preferences'          => array( 'personnalisation' ),
			'statistics-anonymous' => array( 'audience' ),
			'statistics'           => array( 'personnalisation' ),
			'marketing'            => array( 'publicite' ),
		)
	);
}

/** Whether this visitor has agreed to a purpose, a service, or a category of the WP Consent API. */
function volens_has_consent( string $name ): bool {
	$header     = $_SERVER['HTTP_VOLENS_CONSENT'] ?? ''; // phpcs:ignore -- read by volens_granted, never printed
	$granted    = volens_granted( is_string( $header ) ? $header : '' );
	$categories = volens_categories();
	$purposes   = $categories[ $name ] ?? array( $name );
	foreach ( $purposes as $purpose ) {
		if ( ! isset( $granted[ $purpose ] ) ) {
			return false;
		}
	}
	return array() !== $purposes;
}

// The WP Consent API's own plugin, where there is one, declares its functions unconditionally and then asks these filters.
// Last: no other may turn a refusal into a yes.
add_filter( 'wp_get_consent_type', static fn() => 'optin', PHP_INT_MAX );
add_filter( 'wp_has_consent', static fn( $has, $category ) => volens_has_consent( (string) $category ), PHP_INT_MAX, 2 );
add_filter( 'wp_consent_api_registered_' . plugin_basename( __FILE__ ), '__return_true' );

add_action(
	'plugins_loaded',
	static function () {
		if ( ! function_exists( 'wp_has_consent' ) ) {
			/** Whether this visitor has agreed to a category, a purpose or a service. */
			function wp_has_consent( $category, $requested_by = false ) {
				return (bool) apply_filters( 'wp_has_consent', false, $category, $requested_by );
			}
		}
		if ( ! function_exists( 'wp_get_consent_type' ) ) {
			/** How this site asks: nothing is granted before it is given. */
			function wp_get_consent_type() {
				return apply_filters( 'wp_get_consent_type', '' );
			}
		}
	}
);

/**
 * The same for scripts of the page. It is told nothing by PHP but the table: a page cache may keep it for everybody, and
 * the browser reads the choice. What the choice does not name, PHP alone knows: an exempt “audience”, a service under
 * its purpose. Scripts are told no.
 */
function volens_script(): void {
	$table = wp_json_encode( volens_categories(), JSON_HEX_TAG | JSON_HEX_AMP );
	echo "<script>(function(c){window.wp_consent_type='optin';window.wp_has_consent=function(n){"
		. "var v=window.volens,a=v&&v.choice?String(v.choice).split('.').slice(3).join('.').split('~'):[];"
		. "return(Object.prototype.hasOwnProperty.call(c,n)?c[n]:[n]).every(function(p){return p==='technique'||a.indexOf(p)>=0||a.indexOf('+'+p)>=0})};"
		. "document.dispatchEvent(new CustomEvent('wp_consent_type_defined'))})(" . $table . ')</script>' . "\n"; // phpcs:ignore -- JSON without "<"
}
add_action( 'wp_head', 'volens_script', 1 );
add_action(
	'wp_print_footer_scripts',
	static function () {
		if ( class_exists( 'WP_CONSENT_API' ) ) { // its script declares the same name and reads cookies that Volens does not set
			volens_script();
		}
	},
	99
);

/** What the notice calls its panel, in the languages Volens speaks. */
function volens_panel_words(): string {
	$words = array(
		'ar' => 'تحديد خياراتك',
		'de' => 'Auswahl festlegen',
		'en' => 'Set your choices',
		'es' => 'Elegir sus opciones',
		'fr' => 'Paramétrer vos choix',
		'it' => 'Imposta le tue scelte',
		'nl' => 'Keuzes instellen',
		'pl' => 'Określ swój wybór',
		'pt' => 'Definir escolhas',
	);
	return $words[ substr( determine_locale(), 0, 2 ) ] ?? $words['en'];
}

/** [volens_panel_link] or [volens_panel_link]Your words[/volens_panel_link]: a link to the panel, back to this page afterwards. */
function volens_panel_link( $attributes = array(), $content = null ): string {
	if ( is_feed() ) { // read elsewhere, where there is no panel
		return '';
	}
	$back = isset( $_SERVER['REQUEST_URI'] ) ? (string) wp_unslash( $_SERVER['REQUEST_URI'] ) : '/'; // phpcs:ignore -- escaped below
	$back = preg_match( '#^/(?![/\\\\])#', $back ) ? $back : '/';
	$text = null === $content || '' === $content ? esc_html( volens_panel_words() ) : wp_kses_post( $content );
	return '<a class="volens-panel-link" href="' . esc_url( VOLENS_PREFIX . 'panel?back=' . rawurlencode( $back ) ) . '">' . $text . '</a>';
}
add_shortcode( 'volens_panel_link', 'volens_panel_link' );

// Where volens.toml gates comments, this element says so above the form, with its buttons; where it does not, it is empty.
add_action(
	'comment_form_before',
	static function () {
		$path = wp_parse_url( site_url( '/wp-comments-post.php' ), PHP_URL_PATH );
		echo '<volens-gate path="' . esc_attr( $path ) . '" id="volens-comments"></volens-gate>';
	}
);
