package demodata

// SeenSchemas returns the schemas that training knows, with their rows.
func SeenSchemas() []*Schema {
	const towns = "London Paris Berlin Madrid Rome"
	const countries = "France Spain Japan Brazil Kenya Norway"
	return filled(
		newSchema("music",
			table("band", title("name"), category("genre", "rock jazz folk soul metal").or("kind"), category("country", countries), whole("first_year", 1960, 2020)),
			table("album", of("band"), title("title"), whole("year", 1970, 2023).or("release year"), whole("sales", 100, 9000), category("label", "Apex Vinyl Echo Tempo")),
			table("concert", of("band"), category("venue", "Arena Dome Garden Hall Stadium"), date("concert_date"), whole("visits", 100, 9000))),
		newSchema("school",
			table("student", person("name"), category("major", "Math Physics History Biology"), decimal("gpa", 1, 4), whole("age", 17, 30).or("age in years")),
			table("course", title("title"), category("department", "Science Arts Law Medicine"), whole("credits", 1, 12)),
			table("exam", of("student"), of("course"), whole("points", 1, 100), category("semester", "spring summer autumn winter"), date("exam_date"))),
		newSchema("shop",
			table("customer", person("name"), category("city", towns).or("town"), whole("age", 18, 80)),
			table("product", title("name"), category("category", "toy book food tool furniture"), decimal("price", 1, 500).or("cost"), whole("stock", 10, 300)),
			table("purchase", of("customer"), of("product"), whole("quantity", 1, 20).or("number of units"), date("purchase_date"))),
		newSchema("hospital",
			table("doctor", person("name"), category("specialty", "heart brain bone skin eye"), whole("salary", 50, 400).or("pay")),
			table("patient", person("name"), category("gender", "male female other"), whole("age", 1, 95), whole("weight", 20, 140)),
			table("visit", of("doctor"), of("patient"), date("visit_date"), decimal("bill", 20, 900))),
		newSchema("airline",
			table("airport", category("city", "Oslo Tokyo Delhi Lima Cairo").or("town"), whole("elevation", 10, 3000), whole("runways", 1, 8)),
			table("flight", of("airport"), category("airline", "Delta Iberia Emirates Swiss"), whole("distance", 100, 9000), whole("price", 30, 1500), date("departure_date")),
			table("passenger", of("flight"), person("name"), category("seat_class", "economy business premium"), whole("bags", 1, 6))),
		newSchema("library",
			table("author", person("name"), category("nationality", "French Spanish Japanese Brazilian"), whole("birth_year", 1900, 1990)),
			table("book", of("author"), title("title"), category("genre", "novel poetry essay crime"), whole("pages", 80, 900).or("page count"), whole("year", 1950, 2023)),
			table("loan", of("book"), person("reader"), date("loan_date"), whole("days", 1, 60))),
		newSchema("company",
			table("department", category("name", "Sales Research Support Finance Legal"), whole("budget", 100, 9000), category("city", towns)),
			table("employee", of("department"), person("name"), category("position", "clerk manager analyst engineer"), whole("salary", 20, 200), date("hire_date")),
			table("project", of("department"), title("title"), whole("cost", 10, 900), category("status", "open closed paused planned"))),
		newSchema("sport",
			table("team", title("name"), category("city", towns), whole("origin_year", 1880, 2010)),
			table("player", of("team"), person("name"), category("position", "goalkeeper defender midfielder striker"), whole("goals", 1, 60), whole("height", 160, 205)),
			table("tournament", of("team"), category("season", "spring summer autumn winter"), date("start_date"), whole("points", 1, 90))),
		newSchema("film",
			table("director", person("name"), category("nationality", "Italian German Korean Mexican"), whole("age", 25, 85)),
			table("movie", of("director"), title("title"), category("genre", "comedy horror action romance").or("kind"), decimal("rating", 1, 10).or("rating score"), whole("length", 70, 210)),
			table("review", of("movie"), person("critic"), whole("stars", 1, 10), date("review_date"))),
		newSchema("bank",
			table("client", person("name"), category("city", towns), whole("income", 10, 300)),
			table("account", of("client"), category("type", "savings checking business student"), decimal("balance", 100, 9000), date("opening_date")),
			table("payment", of("account"), whole("amount", 100, 9000).or("sum of money"), category("purpose", "rent tax gift salary"), date("payment_date"))),
		newSchema("farm",
			table("farmer", person("name"), whole("age", 20, 80), category("region", "north south east west")),
			table("field", of("farmer"), category("crop", "wheat corn rice barley"), whole("area", 1, 200)),
			table("harvest", of("field"), whole("tons", 10, 900), category("quality", "low medium high top"), date("harvest_date"))),
		newSchema("hotel",
			table("hotel", title("name"), category("city", towns), whole("stars", 1, 5)),
			table("room", of("hotel"), category("type", "single double suite family"), whole("price", 40, 700), whole("floor", 1, 20)),
			table("booking", of("room"), person("guest"), date("arrival_date"), whole("nights", 1, 21))),
		newSchema("cars",
			table("maker", title("name"), category("country", "France Germany Japan Italy Korea"), whole("start_year", 1890, 2010)),
			table("model", of("maker"), title("name"), category("fuel", "petrol diesel electric hybrid"), whole("horsepower", 50, 600), whole("price", 8, 200)),
			table("sale", of("model"), person("dealer"), date("sale_date"), whole("amount", 5, 250))),
		newSchema("newspaper",
			table("editor", person("name"), category("section", "politics culture economy travel"), whole("experience", 1, 40)),
			table("article", of("editor"), title("headline"), whole("words", 100, 3000), category("language", "English French German Polish"), date("publication_date")),
			table("reply", of("article"), person("reader"), whole("likes", 1, 900))),
		newSchema("transport",
			table("station", title("name"), category("district", "harbor center airport campus"), whole("platforms", 1, 20)),
			table("bus", of("station"), category("brand", "Volvo Scania Mercedes Iveco"), whole("seats", 20, 90), whole("mileage", 100, 9000)),
			table("trip", of("bus"), person("driver"), whole("stops", 2, 40), decimal("fare", 1, 30), date("trip_date"))),
	)
}

// UnseenSchemas returns the schemas whose tables training never names, with
// their rows. Some of their columns are new too, others are as common in
// databases as name and age.
func UnseenSchemas() []*Schema {
	const countries = "Canada Poland Sweden Finland Greece"
	return filled(
		newSchema("museum",
			table("museum", title("name"), category("city", "Vienna Prague Dublin Athens"), whole("visitors", 100, 9000)),
			table("painter", person("name"), category("style", "cubism baroque realism gothic"), whole("birth_year", 1500, 1990)),
			table("painting", of("museum"), of("painter"), title("title"), whole("value", 10, 900), date("acquisition_date"))),
		newSchema("zoo",
			table("keeper", person("name"), category("shift", "morning evening night weekend"), whole("wage", 10, 60)),
			table("animal", of("keeper"), person("nickname"), category("species", "lion zebra panda tiger otter"), whole("weight", 10, 900)),
			table("feeding", of("animal"), category("food", "meat fish fruit grass"), decimal("kilos", 1, 40), date("feeding_date"))),
		newSchema("games",
			table("studio", title("name"), category("country", countries), whole("staff", 3, 900)),
			table("videogame", of("studio"), title("title"), category("console", "Atari Sega Amiga Wii"), whole("score", 20, 100), date("release_date")),
			table("session", of("videogame"), person("gamer"), whole("minutes", 5, 600), whole("level", 1, 99))),
		newSchema("theatre",
			table("playwright", person("name"), category("nationality", "Irish Greek Danish Polish"), whole("debut_year", 1880, 2010)),
			table("drama", of("playwright"), title("title"), whole("acts", 1, 9), date("premiere_date")),
			table("performance", of("drama"), category("stage", "main open cellar garden"), whole("audience_size", 20, 900), whole("ticket_price", 8, 150))),
		newSchema("gym",
			table("instructor", person("name"), category("discipline", "yoga boxing rowing pilates"), whole("hourly_fee", 15, 120)),
			table("workout", of("instructor"), category("intensity", "gentle medium hard brutal"), whole("duration", 20, 120), whole("calories", 80, 900)),
			table("attendee", of("workout"), person("full_name"), whole("heartbeat", 50, 190), date("join_date"))),
		newSchema("election",
			table("precinct", category("county", "Kent Essex Devon Surrey"), whole("turnout", 20, 95), whole("population", 300, 9000)),
			table("nominee", of("precinct"), person("name"), category("affiliation", "green liberal labour center"), whole("age", 25, 80)),
			table("donation", of("nominee"), person("donor"), whole("amount", 10, 5000), date("donation_date"))),
		newSchema("brewery",
			table("brewer", title("name"), category("town", "Bruges Munich Dublin Pilsen"), whole("opening_year", 1700, 2015)),
			table("beer", of("brewer"), title("name"), decimal("alcohol", 2, 12), whole("bitterness", 5, 90)),
			table("tasting", of("beer"), person("taster"), category("verdict", "bad fair good superb"), date("tasting_date"))),
		newSchema("observatory",
			table("telescope", title("name"), category("mountain", "Teide Haleakala Paranal Calar"), whole("aperture", 20, 1000)),
			table("astronomer", person("name"), category("degree", "bachelor master doctor professor"), whole("age", 24, 80)),
			table("observation", of("telescope"), of("astronomer"), category("galaxy", "Andromeda Sombrero Pinwheel Cigar"), decimal("magnitude", 1, 20), date("night_date"))),
		newSchema("orchestra",
			table("orchestra", title("name"), category("city", "Vienna Oslo Prague Leipzig"), whole("founding_year", 1800, 2010)),
			table("musician", of("orchestra"), person("name"), category("instrument", "violin cello flute horn harp"), whole("tenure", 1, 45)),
			table("rehearsal", of("orchestra"), category("hall", "Grand Small Royal Glass"), whole("duration", 20, 240), date("rehearsal_date"))),
		newSchema("court",
			table("judge", person("name"), category("rank", "junior senior chief acting"), whole("seniority", 1, 40)),
			table("lawsuit", of("judge"), person("plaintiff"), category("topic", "contract tax patent labor"), whole("damages", 100, 9000)),
			table("hearing", of("lawsuit"), category("courtroom", "alpha beta gamma delta"), whole("witnesses", 1, 30), date("hearing_date"))),
	)
}

func filled(schemas ...*Schema) []*Schema {
	for _, s := range schemas {
		s.fill()
	}
	return schemas
}
